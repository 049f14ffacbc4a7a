"""Rays, and pictures made of them.

Pictures are cast, a ray a pixel, rather than drawn: they need neither a display nor a driver, are
the same on every machine, and cannot hang.
"""

from __future__ import annotations

import numpy as np

from roboyard.sim.camera import Camera, Picture, View
from roboyard.sim.mujoco.engine import mujoco
from roboyard.sim.mujoco.parts import FELT, SEEN, SOLID
from roboyard.sim.mujoco.simulation import Simulation
from roboyard.sim.rows import BASE, Floats, RayHits

_NEAR, _FAR = 0.02, 20.0
_LIGHT = np.array([0.35, -0.45, 0.82])
_SKY = np.array([178.0, 204.0, 229.0])
_SHADE, _SHINE = 0.45, 0.55


def _groups(*chosen: int) -> np.ndarray:
    return np.array([group in chosen for group in range(6)], np.uint8)


_TOUCHED, _VISIBLE = _groups(SOLID, FELT), _groups(SEEN, SOLID)


def cast_rays(sim: Simulation, starts: Floats, ends: Floats) -> RayHits:
    """Cast rays from ``starts`` to ``ends`` [m], both of shape (rays, 3)."""
    data, model = sim.refresh(), sim.model
    starts = np.asarray(starts, dtype=np.float64).reshape(-1, 3)
    ways = np.asarray(ends, dtype=np.float64).reshape(-1, 3) - starts
    count = len(starts)
    geoms, fractions = np.full(count, -1), np.ones(count)
    normals = np.zeros((count, 3))
    geom, normal = np.zeros(1, np.int32), np.zeros(3)
    for n in range(count):
        distance = mujoco.mj_ray(model, data, starts[n], ways[n], _TOUCHED, 1, -1, geom, normal)
        if 0 <= distance <= 1:
            geoms[n], fractions[n], normals[n] = geom[0], distance, normal
    hit = geoms >= 0
    owners = model.geom_bodyid[geoms] if model.ngeom else np.zeros(count, np.int64)
    return RayHits(
        bodies=np.where(hit, sim.body_of[owners], -1),
        links=np.where(hit, sim.link_of[owners], -1),
        fractions=fractions,
        positions=starts + ways * fractions[:, None],
        normals=normals,
    )


def take_picture(sim: Simulation, camera: Camera) -> Picture:
    """Return what a camera sees."""
    yaw, pitch = np.radians((camera.yaw, camera.pitch))
    ahead = np.array([-np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), np.sin(pitch)])
    target = np.array(camera.target)
    eye = target - ahead * camera.distance
    size = (camera.width, camera.height, camera.field_of_view)
    return _seen(sim, eye, _axes(ahead, np.array([0.0, 0.0, 1.0])), size, (camera.near, camera.far))


def take_view(sim: Simulation, view: View, carrier: tuple[int, int] | None) -> Picture:
    """Return what a camera at a place, or on a link, sees."""
    eye, target, up = np.array(view.position), np.array(view.target), np.array([0.0, 0.0, 1.0])
    if carrier is not None:
        data = sim.refresh()
        body = sim.rows[carrier[0]].engine_body(carrier[1])
        turned, place = data.xmat[body].reshape(3, 3), data.xpos[body]
        eye, target, up = place + turned @ eye, place + turned @ target, turned @ up
    size = (view.width, view.height, view.field_of_view)
    return _seen(sim, eye, _axes(target - eye, up), size, (_NEAR, _FAR))


def _axes(ahead: Floats, up: Floats) -> tuple[Floats, Floats, Floats]:
    ahead = ahead / np.linalg.norm(ahead)
    right = np.cross(ahead, up)
    if np.linalg.norm(right) < 1e-9:  # It looks straight up or down.
        right = np.array([1.0, 0.0, 0.0])
    right = right / np.linalg.norm(right)
    return ahead, right, np.cross(right, ahead)


def _seen(
    sim: Simulation,
    eye: Floats,
    axes: tuple[Floats, Floats, Floats],
    size: tuple[int, int, float],
    reach: tuple[float, float],
) -> Picture:
    ahead, right, up = axes
    width, height, view = size
    half = np.tan(np.radians(view) / 2)
    x = (np.arange(width) + 0.5 - width / 2) / (height / 2) * half
    y = -(np.arange(height) + 0.5 - height / 2) / (height / 2) * half
    # Their length along the viewing direction is 1, so that distances are depths.
    rays = ahead + x[None, :, None] * right + y[:, None, None] * up
    rays = rays.reshape(-1, 3)
    count = len(rays)
    geoms, depth = np.full(count, -1, np.int32), np.full(count, -1.0)
    normals = np.zeros((count, 3))
    near, far = reach
    mujoco.mj_multiRay(
        sim.model, sim.refresh(), eye + 0.0, rays.ravel(), _VISIBLE, 1, -1, geoms, depth,
        normals.ravel(), count, 1e10,
    )  # fmt: skip
    hit = (geoms >= 0) & (depth >= near) & (depth <= far)
    picked = geoms[hit]
    colors = np.tile(_SKY, (count, 1))
    light = _SHADE + _SHINE * np.maximum(normals[hit] @ (_LIGHT / np.linalg.norm(_LIGHT)), 0.0)
    colors[hit] = sim.model.geom_rgba[picked, :3] * 255 * light[:, None]
    bodies = np.full(count, BASE, np.int32)
    bodies[hit] = sim.body_of[sim.model.geom_bodyid[picked]]
    depth = np.where(hit, depth, far)
    return Picture(
        rgb=np.clip(colors, 0, 255).astype(np.uint8).reshape(height, width, 3),
        depth=depth.astype(np.float32).reshape(height, width),
        segmentation=bodies.reshape(height, width),
    )
