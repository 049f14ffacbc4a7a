"""What a user decides about the robot that is simulated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Normalization:
    """Choices, with what is done by default."""

    inertia: Literal["mend", "refuse"] = "mend"
    """Inertias that no body can have: the smallest change that makes them possible, or an error."""
    masses: Literal["file", "shapes", "computed"] = "file"
    """``file``: links without an inertial have no mass. ``shapes``: inertias of all links follow
    from their shapes and the masses in the file. ``computed``: links without an inertial get mass
    and inertia from their shapes, at 1000 kg/m^3."""
    merge_fixed: bool = False
    """Make one link of links that are fixed to each other."""
    keep: frozenset[str] = field(default_factory=frozenset)
    """Links that are never merged into others."""
    max_links: int | None = None
    """Most links that the engine takes; fixed ones beyond are merged."""
