"""Inverse kinematics: joint positions that bring a link to a pose."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from roboyard.sim.engine import pybullet
from roboyard.sim.settings import Quaternion, Vector

if TYPE_CHECKING:
    from roboyard.sim.world import World


def pose_solver(
    world: World, body: int, link: int
) -> Callable[[Vector, Quaternion], tuple[float, ...]]:
    """Return a call that brings ``link`` towards a position [m] and an orientation.

    It returns positions [rad] or [m] of all movable joints of ``body``, in their order. It is
    the engine's damped least squares, started from where the joints are, and depends on nothing
    else; a step of a few centimetres leaves an error of about a tenth of it.
    """
    return partial(pybullet.calculateInverseKinematics, body, link, physicsClientId=world.client)


def pose_reader(world: World, body: int, link: int) -> Callable[[], tuple[Vector, Quaternion]]:
    """Return a call that gives position [m] and orientation of a link's centre of mass.

    They are computed from the joints as they are; what the engine keeps, and the samplers tell,
    is that of the beginning of the last physics step, which a saved state does not hold.
    """
    call = partial(
        pybullet.getLinkState, body, link, computeForwardKinematics=1, physicsClientId=world.client
    )

    def read() -> tuple[Vector, Quaternion]:
        position, orientation, *_ = call()
        return position, orientation

    return read
