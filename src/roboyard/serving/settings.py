"""What a server can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from roboyard.errors import ConfigError

TOKEN_VARIABLE = "ROBOYARD_SERVE_TOKEN"


@dataclass(frozen=True)
class Settings:
    """Options of a server; the defaults are safe on a developer's machine."""

    host: str = "127.0.0.1"
    """Address to listen on; ``0.0.0.0`` is every interface."""
    port: int = 8080
    """Port; 0 takes a free one."""
    tokens: tuple[str, ...] = field(default=(), repr=False)
    """Bearer tokens that are let in; empty lets everybody in."""
    max_request_bytes: int = 16 * 2**20
    """Longest request body and WebSocket message [bytes]."""
    max_rows: int = 1024
    """Most observations in one request."""
    max_batch_rows: int = 64
    """Most observations that are put through the network together; 1 turns batching off."""
    max_wait_s: float = 0.0
    """How long an idle network may wait for more requests to batch with the first [s]."""
    max_queued_rows: int = 8192
    """Observations that may wait for one network; more are answered with 503."""
    rate_limit: float = 0.0
    """Requests per second and client; 0 is unlimited."""
    max_sessions: int = 1024
    """Most WebSocket sessions at a time."""
    body_timeout_s: float = 30.0
    """How long a client may take to send a request body [s]."""
    watch_interval_s: float = 2.0
    """Time between two looks at the watched places [s]."""
    drain_delay_s: float = 0.0
    """How long to go on serving, while /readyz says no, before closing the port [s]."""
    drain_timeout_s: float = 30.0
    """How long requests under way may take to end after that [s]."""
    access_log: bool = False
    """Whether every request is a line in the log."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        for name in ("max_request_bytes", "max_rows", "max_batch_rows", "max_queued_rows"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("max_wait_s", "rate_limit", "drain_delay_s", "watch_interval_s"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port is {self.port}; allowed: 0 to 65535.")
