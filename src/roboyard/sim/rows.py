"""What engines answer: rows of numbers, and the names of their columns.

Hot readings are plain tuples, which engines make at the least cost; their columns have names here.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from roboyard.sim.settings import Quaternion, Vector

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BASE: Final = -1
"""Number of a body's base among its links."""

JointColumns: TypeAlias = tuple[list[float], list[float], list[float]]
"""Positions [rad] or [m], velocities [1/s of it], and torques of the engine's motors [N m]; the
torques are empty unless they were asked for."""

LinkRow: TypeAlias = tuple[
    Vector, Quaternion, Vector, Quaternion, Vector, Quaternion, Vector, Vector
]
"""One link in the world's frame; see the columns. Rows read without velocities end before them."""
CENTER: Final = 0
"""Column of a ``LinkRow``: centre of mass [m]."""
ORIENTATION: Final = 1
"""Column of a ``LinkRow``: orientation of the inertial frame (x, y, z, w)."""
FRAME_POSITION: Final = 4
"""Column of a ``LinkRow``: origin of the link's frame [m]."""
FRAME_ORIENTATION: Final = 5
"""Column of a ``LinkRow``: orientation of the link's frame (x, y, z, w)."""
VELOCITY: Final = 6
"""Column of a ``LinkRow``: velocity of the centre of mass [m/s]."""
ANGULAR_VELOCITY: Final = 7
"""Column of a ``LinkRow``: angular velocity [rad/s]."""

ContactRow: TypeAlias = tuple[
    int, int, int, int, int, Vector, Vector, Vector, float, float, float, Vector, float, Vector
]
"""One contact point. The asked body is the first; one of a body with itself is told once."""
OTHER_BODY: Final = 2
"""Column of a ``ContactRow``: the other body."""
LINK: Final = 3
"""Column of a ``ContactRow``: link of the asked body, -1 for the base."""
OTHER_LINK: Final = 4
"""Column of a ``ContactRow``: link of the other body, -1 for the base."""
DISTANCE: Final = 8
"""Column of a ``ContactRow``: distance [m], negative where the bodies overlap."""
NORMAL_FORCE: Final = 9
"""Column of a ``ContactRow``: normal force [N]."""


class RayHits(NamedTuple):
    """What rays met."""

    bodies: Integers
    """Body that each ray met, -1 for none, shape (rays,)."""
    links: Integers
    """Link that each ray met, -1 for the base or none, shape (rays,)."""
    fractions: Floats
    """Share of the way at which it met it, 1 for none, shape (rays,)."""
    positions: Floats
    """Where it met it [m], shape (rays, 3)."""
    normals: Floats
    """Surface normals there, shape (rays, 3)."""


class Overlap(NamedTuple):
    """Two links that are inside each other."""

    link: int
    """A link; -1 is the base."""
    other: int
    """A link of the other body."""
    depth: float
    """How deep the links are in each other [m]."""


class Bounds(NamedTuple):
    """A box along the world's axes around a body."""

    lower: Vector
    """Its corner of smallest coordinates [m]."""
    upper: Vector
    """Its corner of largest coordinates [m]."""
