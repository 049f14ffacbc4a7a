"""Reading what a body consists of: joints, links, base."""

from __future__ import annotations

import re

from roboyard.sim.bodies import BaseState, JointInfo
from roboyard.sim.pybullet.engine import pybullet

JOINT_KINDS = {
    pybullet.JOINT_REVOLUTE: "revolute",
    pybullet.JOINT_PRISMATIC: "prismatic",
    pybullet.JOINT_SPHERICAL: "spherical",
    pybullet.JOINT_PLANAR: "planar",
    pybullet.JOINT_FIXED: "fixed",
}
_MADE_UP_NAME = re.compile(r"^joint(fix)?\d*_\d+_\d+$")


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
