"""Bodies made of one shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from roboyard.errors import ConfigError

Color = tuple[float, float, float, float]
"""Red, green, blue, opacity, each in [0, 1]."""

_NUM_SIZES = {"box": 3, "sphere": 1, "cylinder": 2, "capsule": 2, "mesh": 1}


@dataclass(frozen=True)
class Shape:
    """A box, sphere, cylinder, capsule or mesh; cylinders and capsules stand along z.

    Raises:
        ConfigError: The kind is unknown, or the size does not fit it.
    """

    kind: Literal["box", "sphere", "cylinder", "capsule", "mesh"]
    """What it is."""
    size: tuple[float, ...]
    """Box: half extents along x, y, z; sphere: radius; cylinder, capsule: radius, length [m];
    mesh: factor on its lengths."""
    mass: float = 0.0
    """Mass [kg]; 0 makes it immovable."""
    color: Color = (0.6, 0.6, 0.65, 1.0)
    """Its colour."""
    collides: bool = True
    """Whether it touches other bodies, or is only seen."""
    file: str = ""
    """File of a mesh; its convex hull touches, all of it is seen."""

    def __post_init__(self) -> None:
        """Check kind and size."""
        if self.kind not in _NUM_SIZES:
            raise ConfigError(f"unknown shape '{self.kind}'. Allowed: {', '.join(_NUM_SIZES)}.")
        if len(self.size) != _NUM_SIZES[self.kind] or min(self.size) <= 0:
            raise ConfigError(
                f"a {self.kind} needs {_NUM_SIZES[self.kind]} positive sizes [m], "
                f"but size is {self.size}."
            )
