"""What a robot is, whatever file describes it and whichever engine simulates it.

Units are SI: metres, kilograms, radians. A link's frame is the one that the description gives it.
At position 0 a joint's child frame lies at ``Joint.origin`` in the parent's frame; the joint turns
or slides about ``axis`` through ``anchor``, both in the child's frame.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class FileLine(NamedTuple):
    """Where in a file something stands."""

    file: str
    line: int
    """Counted from 1; 0 where the reader cannot tell."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


NOWHERE = FileLine("", 0)


class Remark(NamedTuple):
    """One thing in which the robot that is simulated differs from what its file says."""

    code: str
    """Kind of difference, such as ``inertia-mended``; remarks of one kind can be counted."""
    where: str
    """The element, such as ``link 'arm'``."""
    what: str
    """What was done."""
    why: str
    """The reason."""
    line: int = 0
    """Line in the file; 0 where it is not known."""

    def __str__(self) -> str:
        line = f" (line {self.line})" if self.line else ""
        return f"{self.where}{line}: {self.what}: {self.why}"


@dataclass(frozen=True, eq=False)
class Pose:
    """A place and a rotation, of one frame in another."""

    position: Floats
    """Origin [m], shape (3,)."""
    rotation: Floats
    """Rotation matrix, shape (3, 3); its columns are the axes."""

    def __matmul__(self, other: Pose) -> Pose:
        """Return ``other``, given in this frame, in the frame that this one is given in."""
        return Pose(self.position + self.rotation @ other.position, self.rotation @ other.rotation)

    def inverse(self) -> Pose:
        """Return the pose of the outer frame in this one."""
        return Pose(-self.rotation.T @ self.position, self.rotation.T)

    def is_identity(self, tolerance: float = 1e-12) -> bool:
        """Return whether both frames coincide."""
        return bool(
            np.abs(self.position).max() <= tolerance
            and np.abs(self.rotation - np.eye(3)).max() <= tolerance
        )


IDENTITY = Pose(np.zeros(3), np.eye(3))


@dataclass(frozen=True, eq=False)
class Inertial:
    """Mass and its distribution."""

    mass: float
    """[kg]."""
    center: Floats
    """Centre of mass in the link's frame [m], shape (3,)."""
    inertia: Floats
    """About the centre of mass, along the link's axes [kg m^2], shape (3, 3)."""


@dataclass(frozen=True)
class Box:
    """A cuboid around its frame's origin."""

    size: tuple[float, float, float]
    """Edges [m]."""


@dataclass(frozen=True)
class Sphere:
    """A ball around its frame's origin."""

    radius: float


@dataclass(frozen=True)
class Cylinder:
    """A cylinder along z, its middle at the origin."""

    radius: float
    length: float


@dataclass(frozen=True)
class Capsule:
    """A cylinder along z with half balls at its ends."""

    radius: float
    length: float
    """Of the cylinder alone [m]."""


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid around its frame's origin."""

    radii: tuple[float, float, float]


@dataclass(frozen=True)
class Plane:
    """The half space below z = 0; only of bodies that never move."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles of a file, or of a reader that has made them."""

    file: str
    """Full path; with ``vertices``, the name to show."""
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    is_concave: bool = False
    """Whether the triangles themselves collide, rather than their convex hull."""
    vertices: Floats | None = None
    """[m], shape (vertices, 3), where the file is not to be read again."""
    faces: NDArray[np.int64] | None = None
    """Indices of vertices, shape (triangles, 3)."""


Geometry = Box | Sphere | Cylinder | Capsule | Ellipsoid | Plane | Mesh


@dataclass(frozen=True, eq=False)
class LinkShape:
    """A shape that collides or is seen."""

    geometry: Geometry
    pose: Pose = IDENTITY
    """In the link's frame."""
    name: str = ""
    color: tuple[float, float, float, float] | None = None
    """Red, green, blue and opacity from 0 to 1."""
    friction: float | None = None
    """Coefficient of sliding friction, where the file has one."""
    source: FileLine = NOWHERE


@dataclass(frozen=True, eq=False)
class Link:
    """A rigid part."""

    name: str
    inertial: Inertial | None = None
    """None where the file gives none: the link is a mere frame, or its mass is unknown."""
    collisions: tuple[LinkShape, ...] = ()
    visuals: tuple[LinkShape, ...] = ()
    contact: Mapping[str, float] = field(default_factory=dict)
    """Properties of contacts by the names of URDF's ``<contact>``, such as lateral_friction."""
    source: FileLine = NOWHERE

    @property
    def mass(self) -> float:
        """Mass [kg]; 0 without an inertial."""
        return self.inertial.mass if self.inertial else 0.0


class JointKind(Enum):
    """How a joint lets its child move."""

    FIXED = "fixed"
    REVOLUTE = "revolute"
    """With or without limits; a continuous joint is one without."""
    PRISMATIC = "prismatic"
    SPHERICAL = "spherical"
    PLANAR = "planar"
    """In the plane that ``axis`` is normal to, and about ``axis``."""
    FLOATING = "floating"


@dataclass(frozen=True)
class Mimic:
    """A joint's position is ``multiplier * position of joint + offset``."""

    joint: str
    multiplier: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, eq=False)
class Joint:
    """What holds a link to its parent. Limits are infinite where there are none."""

    name: str
    kind: JointKind
    parent: str
    child: str
    origin: Pose = IDENTITY
    axis: Floats = field(default_factory=lambda: np.array([1.0, 0.0, 0.0]))
    """Shape (3,); of unit length after normalisation."""
    anchor: Floats = field(default_factory=lambda: np.zeros(3))
    """A point that the axis passes through [m], shape (3,)."""
    lower: float = -inf
    """[rad] or [m]."""
    upper: float = inf
    effort: float = inf
    """Largest torque or force [N m] or [N]."""
    velocity: float = inf
    """Largest velocity [rad/s] or [m/s]."""
    damping: float = 0.0
    """[N m s/rad] or [N s/m]."""
    friction: float = 0.0
    """Dry friction [N m] or [N]."""
    armature: float = 0.0
    """Inertia of the drive that turns with the joint [kg m^2] or [kg]."""
    stiffness: float = 0.0
    """Of a spring [N m/rad] or [N/m]."""
    spring_reference: float = 0.0
    """Position at which the spring is at rest."""
    reference: float = 0.0
    """Position at which the child lies at ``origin``."""
    is_endless: bool = False
    """Whether the file declares that the joint turns without limits."""
    mimic: Mimic | None = None
    source: FileLine = NOWHERE

    @property
    def is_movable(self) -> bool:
        """Whether it is anything but fixed."""
        return self.kind is not JointKind.FIXED

    @property
    def has_limits(self) -> bool:
        """Whether its position is bounded on both sides."""
        return self.lower > -inf and self.upper < inf


@dataclass(frozen=True, eq=False)
class DescribedSensor:
    """A sensor that the file mentions."""

    name: str
    kind: str
    link: str
    pose: Pose = IDENTITY
    source: FileLine = NOWHERE


@dataclass(frozen=True, eq=False)
class DescribedActuator:
    """A drive that the file mentions."""

    name: str
    kind: str
    """Such as ``motor``, ``position``, ``transmission``."""
    target: str
    """Name of the joint, tendon or link that it drives."""
    gear: float = 1.0
    control_range: tuple[float, float] | None = None
    force_range: tuple[float, float] | None = None
    source: FileLine = NOWHERE


@dataclass(frozen=True, eq=False)
class RobotModel:
    """A tree of links, in the order of the file."""

    name: str
    links: tuple[Link, ...]
    joints: tuple[Joint, ...] = ()
    root: str = ""
    """Name of the link that no joint holds."""
    is_fixed: bool | None = None
    """Whether the root is held in the world; None where the file does not say."""
    pose: Pose = IDENTITY
    """Of the root in the world, where the file says."""
    sensors: tuple[DescribedSensor, ...] = ()
    actuators: tuple[DescribedActuator, ...] = ()
    remarks: tuple[Remark, ...] = ()
    """What was repaired or left out so far."""
    file: str = ""

    @property
    def movable_joints(self) -> tuple[Joint, ...]:
        """Joints that are not fixed, in the order of the file."""
        return tuple(joint for joint in self.joints if joint.is_movable)

    def link(self, name: str) -> Link:
        """Return the link of that name."""
        return next(link for link in self.links if link.name == name)

    def joint(self, name: str) -> Joint:
        """Return the joint of that name."""
        return next(joint for joint in self.joints if joint.name == name)

    def replace(self, remarks: tuple[Remark, ...] = (), **changes: object) -> RobotModel:
        """Return a changed copy, with remarks added to those that it has."""
        kept = (*self.remarks, *remarks)
        return dataclasses.replace(self, remarks=kept, **changes)  # type: ignore[arg-type]
