"""Pictures from a place, in the world or on a link."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roboyard.sim.camera import Picture
from roboyard.sim.engine import pybullet
from roboyard.sim.settings import Quaternion, Vector

if TYPE_CHECKING:
    from roboyard.sim.world import World

_NEAR, _FAR = 0.02, 20.0


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


def picture(world: World, view: View, carrier: tuple[int, int] | None = None) -> Picture:
    """Return what a camera sees; up is up in the world, or on the link that carries it.

    Args:
        world: The world.
        view: The camera.
        carrier: Body and link in whose frame the view is told; -1 is the base.

    Raises:
        SimulationError: The world is closed.
    """
    with world._engine("no picture can be taken") as client:
        matrix = _view_matrix(client, view, carrier)
        projection = pybullet.computeProjectionMatrixFOV(
            view.field_of_view, view.width / view.height, _NEAR, _FAR
        )
        width, height, colors, depth, bodies = pybullet.getCameraImage(
            view.width,
            view.height,
            matrix,
            projection,
            renderer=pybullet.ER_TINY_RENDERER,
            physicsClientId=client,
        )
    rgba = np.asarray(colors, dtype=np.uint8).reshape(height, width, 4)
    buffer = np.asarray(depth, dtype=np.float32).reshape(height, width)
    near, far = np.float32(_NEAR), np.float32(_FAR)
    return Picture(
        rgb=np.ascontiguousarray(rgba[:, :, :3]),
        depth=far * near / (far - (far - near) * buffer),
        segmentation=np.asarray(bodies, dtype=np.int32).reshape(height, width),
    )


def _view_matrix(client: int, view: View, carrier: tuple[int, int] | None) -> list[float]:
    eye, target, up = view.position, view.target, (0.0, 0.0, 1.0)
    if carrier is not None:
        position, orientation = _pose(client, *carrier)
        eye, target = (_placed(position, orientation, point) for point in (eye, target))
        up = _placed((0.0, 0.0, 0.0), orientation, up)
    matrix: list[float] = pybullet.computeViewMatrix(eye, target, up)
    return matrix


def _pose(client: int, body: int, link: int) -> tuple[Vector, Quaternion]:
    if link < 0:
        position, orientation = pybullet.getBasePositionAndOrientation(body, client)
        return position, orientation
    state = pybullet.getLinkState(body, link, physicsClientId=client)
    return state[4], state[5]


def _placed(position: Vector, orientation: Quaternion, point: Vector) -> Vector:
    placed: Vector = pybullet.multiplyTransforms(position, orientation, point, (0, 0, 0, 1))[0]
    return placed
