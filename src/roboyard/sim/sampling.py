"""The leanest way to read one body: engine calls with their arguments bound once.

The results are the engine's own tuples. ``JointReader`` and ``LinkReader`` give arrays instead,
which suits occasional use; a control loop that needs a few numbers is faster with these.
Arguments go by position, because the engine's calls take keywords at a good part of their price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from roboyard.sim.engine import EngineError, pybullet
from roboyard.sim.settings import Quaternion, Vector

if TYPE_CHECKING:
    from roboyard.sim.world import World

JointRow: TypeAlias = tuple[float, float, tuple[float, ...], float]
"""Position, velocity, reaction forces, torque of the motor."""

LinkRow: TypeAlias = tuple[
    Vector, Quaternion, Vector, Quaternion, Vector, Quaternion, Vector, Vector
]
"""Centre of mass: position, orientation; both in the link's frame; link frame: position,
orientation; velocity of the centre of mass, angular velocity, if asked for. World frame."""

ContactRow: TypeAlias = tuple[
    int, int, int, int, int, Vector, Vector, Vector, float, float, float, Vector, float, Vector
]
"""Entry 1 and 2 are the bodies, 3 and 4 their links, 7 the normal on the second body, 8 the
distance [m], 9 the normal force [N], 10 and 12 the friction forces [N]."""

_ANY_LINK = -2

EngineFailure = EngineError
"""What the bound calls raise once their world is closed."""

euler_angles: Callable[[Quaternion], Vector] = pybullet.getEulerFromQuaternion
"""Roll, pitch and yaw [rad] of an orientation (x, y, z, w)."""

quaternion: Callable[[Vector], Quaternion] = pybullet.getQuaternionFromEuler
"""Orientation (x, y, z, w) of roll, pitch and yaw [rad]."""


def multiplied(second: Quaternion, first: Quaternion) -> Quaternion:
    """Return the orientation of turning by ``first`` and then by ``second``."""
    turned = pybullet.multiplyTransforms((0, 0, 0), second, (0, 0, 0), first)[1]
    x, y, z, w = turned
    return x, y, z, w


def joint_sampler(
    world: World, body: int, joints: Sequence[int]
) -> Callable[[], Sequence[JointRow]]:
    """Return a call that reads ``joints`` of ``body``."""
    return partial(pybullet.getJointStates, body, tuple(joints), world.client)


def joint_columns(rows: Sequence[JointRow]) -> tuple[list[float], list[float]]:
    """Return the positions and the velocities in what a :func:`joint_sampler` read."""
    positions, velocities = [], []
    for position, velocity, _, _ in rows:
        positions.append(position)
        velocities.append(velocity)
    return positions, velocities


def link_sampler(
    world: World, body: int, links: Iterable[int], velocities: bool = True
) -> Callable[[], Sequence[LinkRow]]:
    """Return a call that reads ``links`` (not the base) of ``body``.

    Without ``velocities`` it is quicker, and rows end before them.
    """
    kinematics = 0
    return partial(
        pybullet.getLinkStates, body, tuple(links), int(velocities), kinematics, world.client
    )


def pose_sampler(world: World, body: int) -> Callable[[], tuple[Vector, Quaternion]]:
    """Return a call that reads position and orientation of the base of ``body``."""
    return partial(pybullet.getBasePositionAndOrientation, body, world.client)


def velocity_sampler(world: World, body: int) -> Callable[[], tuple[Vector, Vector]]:
    """Return a call that reads linear and angular velocity of the base of ``body``."""
    return partial(pybullet.getBaseVelocity, body, world.client)


def contact_sampler(
    world: World, body: int, other: int | None = None
) -> Callable[[], Sequence[ContactRow]]:
    """Return a call that reads contacts of ``body``, with everything or with one ``other``.

    In each row the asked body is the first; one of a body with itself is told once.
    """
    anything = -1
    return partial(
        pybullet.getContactPoints,
        body,
        anything if other is None else other,
        _ANY_LINK,
        _ANY_LINK,
        world.client,
    )


def torque_setter(world: World, body: int, joints: Sequence[int]) -> Callable[[list[float]], None]:
    """Return a call that takes torques [N m] or forces [N] of ``joints`` for the next step."""
    unused, client = [0.0] * len(joints), world.client
    send = partial(
        pybullet.setJointMotorControlArray,
        body,
        tuple(joints),
        pybullet.TORQUE_CONTROL,
        unused,  # positions
        unused,  # velocities
    )

    def set_torques(torques: list[float]) -> None:
        send(torques, unused, unused, client)  # no gains either

    return set_torques
