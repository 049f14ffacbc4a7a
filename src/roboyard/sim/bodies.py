"""What a body consists of: joints, links, base."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from roboyard.sim.settings import Quaternion, Vector


@dataclass(frozen=True, slots=True)
class JointInfo:
    """One joint and the link that it moves; both have the same index."""

    index: int
    """Index of the joint and of its child link."""
    name: str
    """Name of the joint."""
    link: str
    """Name of the child link."""
    kind: str
    """``revolute``, ``prismatic``, ``spherical``, ``planar`` or ``fixed``."""
    lower: float
    """Lower limit [rad] or [m]; there is no limit if it is above ``upper``."""
    upper: float
    """Upper limit [rad] or [m]."""
    max_force: float
    """Effort limit of the description [N m] or [N]; 0 if it has none."""
    max_velocity: float
    """Velocity limit of the description [rad/s] or [m/s]; 0 if it has none."""
    damping: float
    """Joint damping [N m s/rad] or [N s/m]."""
    friction: float
    """Joint friction [N m] or [N]."""
    axis: Vector
    """Axis in the joint's frame."""
    parent: int
    """Index of the parent link, -1 for the base."""

    @property
    def is_movable(self) -> bool:
        """Whether the joint has one degree of freedom."""
        return self.kind in ("revolute", "prismatic")


class BaseState(NamedTuple):
    """Pose and velocity of a body's base, at the base's centre of mass, in the world's frame."""

    position: Vector
    """Position [m]."""
    orientation: Quaternion
    """Orientation (x, y, z, w)."""
    linear_velocity: Vector
    """Velocity [m/s]."""
    angular_velocity: Vector
    """Angular velocity [rad/s]."""
