"""What all parts of one server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from roboyard.serving.http.bodies import Budget
from roboyard.serving.http.offloading import Reader
from roboyard.serving.http.telemetry import Telemetry
from roboyard.serving.model.catalog import Catalog
from roboyard.serving.settings import Settings


class Closable(Protocol):
    """An open WebSocket session."""

    async def close_when_idle(self) -> bool:
        """Say goodbye, unless a message is under way."""


@dataclass
class ServerState:
    """Settings, loaded policies, counts, and whether the server is about to end."""

    settings: Settings
    catalog: Catalog = field(default_factory=Catalog)
    telemetry: Telemetry = field(default_factory=Telemetry)
    sessions: set[Closable] = field(default_factory=set)
    reader: Reader = field(default_factory=Reader)
    budget: Budget = field(init=False)
    is_draining: bool = False

    def __post_init__(self) -> None:
        """Make what the settings bound."""
        self.budget = Budget(self.settings.max_pending_bytes)

    @property
    def is_ready(self) -> bool:
        """Whether new requests are welcome."""
        return bool(self.catalog.entries) and not self.is_draining


@dataclass(slots=True)
class Facts:
    """What the handler of a request tells the gate about it."""

    route: str = "other"
    policy: str = ""
    version: str = ""
