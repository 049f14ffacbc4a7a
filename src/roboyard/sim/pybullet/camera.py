"""Pictures: by a free camera, or from a place in the world or on a link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from roboyard.sim.camera import Camera, Picture, View
from roboyard.sim.pybullet.engine import pybullet
from roboyard.sim.pybullet.frames import BaseFrame
from roboyard.sim.settings import Quaternion, Vector

_NEAR, _FAR = 0.02, 20.0


def take_picture(client: int, camera: Camera, *, window: bool) -> Picture:
    """Return what ``camera`` sees; ``window`` tells whether the engine has one to draw with."""
    view = pybullet.computeViewMatrixFromYawPitchRoll(
        camera.target, camera.distance, camera.yaw, camera.pitch, 0.0, 2
    )
    projection = pybullet.computeProjectionMatrixFOV(
        camera.field_of_view, camera.width / camera.height, camera.near, camera.far
    )
    renderer = pybullet.ER_BULLET_HARDWARE_OPENGL if window else pybullet.ER_TINY_RENDERER
    width, height, colors, depth, segmentation = pybullet.getCameraImage(
        camera.width, camera.height, view, projection, renderer=renderer, physicsClientId=client
    )
    return _picture((width, height, colors, depth, segmentation), camera.near, camera.far)


def take_view(
    client: int,
    view: View,
    carrier: tuple[int, int] | None = None,
    frames: Mapping[int, BaseFrame] | None = None,
) -> Picture:
    """Return what a camera sees; up is up in the world, or on the link that carries it.

    Args:
        client: The engine's client.
        view: The camera.
        carrier: Body and link in whose frame the view is told; -1 is the base.
        frames: Frames of bases whose links' frames are known, by body.
    """
    matrix = _view_matrix(client, view, carrier, frames or {})
    projection = pybullet.computeProjectionMatrixFOV(
        view.field_of_view, view.width / view.height, _NEAR, _FAR
    )
    image = pybullet.getCameraImage(
        view.width,
        view.height,
        matrix,
        projection,
        renderer=pybullet.ER_TINY_RENDERER,
        physicsClientId=client,
    )
    return _picture(image, _NEAR, _FAR)


def _picture(image: tuple[Any, ...], nearest: float, farthest: float) -> Picture:
    width, height, colors, depth, bodies = image
    rgba = np.asarray(colors, dtype=np.uint8).reshape(height, width, 4)
    buffer = np.asarray(depth, dtype=np.float32).reshape(height, width)
    near, far = np.float32(nearest), np.float32(farthest)
    return Picture(
        rgb=np.ascontiguousarray(rgba[:, :, :3]),
        depth=far * near / (far - (far - near) * buffer),
        segmentation=np.asarray(bodies, dtype=np.int32).reshape(height, width),
    )


def _view_matrix(
    client: int, view: View, carrier: tuple[int, int] | None, frames: Mapping[int, BaseFrame]
) -> list[float]:
    eye, target, up = view.position, view.target, (0.0, 0.0, 1.0)
    if carrier is not None:
        position, orientation = _pose(client, *carrier, frames)
        eye, target = (_placed(position, orientation, point) for point in (eye, target))
        up = _placed((0.0, 0.0, 0.0), orientation, up)
    matrix: list[float] = pybullet.computeViewMatrix(eye, target, up)
    return matrix


def _pose(
    client: int, body: int, link: int, frames: Mapping[int, BaseFrame]
) -> tuple[Vector, Quaternion]:
    if link < 0:
        position, orientation = pybullet.getBasePositionAndOrientation(body, client)
        frame = frames.get(body)
        return frame.link_pose(position, orientation) if frame else (position, orientation)
    state = pybullet.getLinkState(body, link, physicsClientId=client)
    return state[4], state[5]


def _placed(position: Vector, orientation: Quaternion, point: Vector) -> Vector:
    placed: Vector = pybullet.multiplyTransforms(position, orientation, point, (0, 0, 0, 1))[0]
    return placed
