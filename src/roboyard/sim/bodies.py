"""What a body consists of: joints, links, base."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from roboyard.sim.engine import pybullet
from roboyard.sim.settings import Quaternion, Vector

JOINT_KINDS = {
    pybullet.JOINT_REVOLUTE: "revolute",
    pybullet.JOINT_PRISMATIC: "prismatic",
    pybullet.JOINT_SPHERICAL: "spherical",
    pybullet.JOINT_PLANAR: "planar",
    pybullet.JOINT_FIXED: "fixed",
}
_MADE_UP_NAME = re.compile(r"^joint(fix)?\d*_\d+_\d+$")


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


def read_joints(client: int, body: int) -> tuple[JointInfo, ...]:
    """Return the joints of ``body`` in index order."""
    count = pybullet.getNumJoints(body, physicsClientId=client)
    return tuple(_joint(client, body, index) for index in range(count))


def _joint(client: int, body: int, index: int) -> JointInfo:
    info = pybullet.getJointInfo(body, index, physicsClientId=client)
    return JointInfo(
        index=index,
        name=info[1].decode(),
        link=info[12].decode(),
        kind=JOINT_KINDS.get(info[2], "other"),
        lower=info[8],
        upper=info[9],
        max_force=info[10],
        max_velocity=info[11],
        damping=info[6],
        friction=info[7],
        axis=info[13],
        parent=info[16],
    )


def read_base(client: int, body: int) -> BaseState:
    """Return pose and velocity of the base of ``body``."""
    position, orientation = pybullet.getBasePositionAndOrientation(body, client)
    linear, angular = pybullet.getBaseVelocity(body, client)
    return BaseState(position, orientation, linear, angular)


def signature(client: int, body: int) -> list[str]:
    """Return names that tell this body's structure from another's."""
    base, name = pybullet.getBodyInfo(body, physicsClientId=client)
    joints = read_joints(client, body)
    # Joints without a name in a MJCF file get one from a counter of the whole process.
    names = [_MADE_UP_NAME.sub("unnamed", joint.name) for joint in joints]
    kinds = [joint.kind for joint in joints]
    return [name.decode(), base.decode(), *map(":".join, zip(names, kinds, strict=True))]
