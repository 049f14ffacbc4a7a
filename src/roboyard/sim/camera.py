"""Cameras: colour, depth and segmentation pictures of a world, without a display."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roboyard.errors import ConfigError
from roboyard.sim.settings import Vector


@dataclass(frozen=True)
class Camera:
    """A camera that looks at a point from a distance.

    Raises:
        ConfigError: A value is out of its range.
    """

    target: Vector = (0.0, 0.0, 0.5)
    """Point that it looks at [m]."""
    distance: float = 3.0
    """Distance from the target [m]."""
    yaw: float = 45.0
    """Turn about the vertical [deg]; at 0 it looks along +y, with +x to the right."""
    pitch: float = -20.0
    """Tilt [deg]; negative looks down."""
    width: int = 480
    """Width [pixels]."""
    height: int = 360
    """Height [pixels]."""
    field_of_view: float = 45.0
    """Vertical field of view [deg]."""
    near: float = 0.05
    """Nearest visible distance [m]."""
    far: float = 100.0
    """Farthest visible distance [m]."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if min(self.width, self.height) < 1:
            raise ConfigError(
                f"a camera of {self.width} x {self.height} pixels is impossible; "
                "width and height must be at least 1."
            )
        if not 0 < self.near < self.far:
            raise ConfigError(
                f"near is {self.near} and far is {self.far}; 0 < near < far must hold [m]."
            )


class Picture(NamedTuple):
    """What a camera saw."""

    rgb: NDArray[np.uint8]
    """Colours, shape (height, width, 3)."""
    depth: NDArray[np.float32]
    """Distance along the viewing direction [m], shape (height, width)."""
    segmentation: NDArray[np.int32]
    """Body id of each pixel, -1 for none, shape (height, width)."""


class View(NamedTuple):
    """Where a camera is, and what it looks at."""

    position: Vector
    """Where it is [m]."""
    target: Vector
    """Point in the middle of the picture [m]."""
    width: int
    """Width [pixels]."""
    height: int
    """Height [pixels]."""
    field_of_view: float
    """Vertical field of view [deg]."""
