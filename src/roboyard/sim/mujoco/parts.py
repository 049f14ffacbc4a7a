"""What worlds are built of: parts that add themselves to a specification of the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from roboyard.sim.bodies import JointInfo
from roboyard.sim.mujoco.engine import mujoco
from roboyard.sim.rows import BASE
from roboyard.sim.settings import Quaternion, Vector
from roboyard.sim.shapes import Shape
from roboyard.sim.terrain import Terrain

SEEN, SOLID, FELT = 1, 2, 3
"""Groups of geoms: only seen, seen and touched, only touched."""
GROUND_PRIORITY, BODY_PRIORITY = 0, 1
"""Between a body and a ground, the friction of the body counts, whatever the ground's is."""
DEFAULT_FRICTION = 0.5
_EVERYTHING = 0x7FFFFFFF
_DEPTH = 1.0


@dataclass(frozen=True)
class BodyPart:
    """One body, as the interface counts them."""

    base: str
    """Name of its base link."""
    joints: tuple[JointInfo, ...]
    """Its joints."""
    is_free: bool
    """Whether its base moves."""
    add: Callable[[Any, int], None]
    """Adds it to a specification under a number."""


def part_name(number: int, link: int = BASE) -> str:
    """Return the engine's name of a link, and of the joint that holds it."""
    return f"{number}:{link}"


def to_engine(orientation: Quaternion) -> list[float]:
    """Return a quaternion (x, y, z, w) in the engine's order, of length 1."""
    x, y, z, w = orientation
    turned = np.array([w, x, y, z])
    found: list[float] = (turned / np.linalg.norm(turned)).tolist()
    return found


def touching(number: int, *, itself: bool) -> dict[str, int]:
    """Return the contact bits of a body; bits beyond 30 bodies that avoid themselves are shared."""
    bit = 1 if itself else 1 << (1 + number % 30)
    return {"contype": bit, "conaffinity": _EVERYTHING if itself else _EVERYTHING & ~bit}


def plane_part(name: str, height: float) -> BodyPart:
    """Return an endless ground."""

    def add(spec: Any, number: int) -> None:  # noqa: ANN401
        body = spec.worldbody.add_body(name=part_name(number), pos=[0.0, 0.0, height])
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], group=SOLID,
            priority=GROUND_PRIORITY, friction=[1.0, 0.0, 0.0], rgba=[0.6, 0.62, 0.6, 1],
            **touching(number, itself=True),
        )  # fmt: skip

    return BodyPart(name, (), is_free=False, add=add)


def terrain_part(terrain: Terrain) -> BodyPart:
    """Return a height field."""
    heights, step = terrain.heights, terrain.config.resolution
    rows, columns = heights.shape
    lowest, span = float(heights.min()), max(float(np.ptp(heights)), 1e-3)
    half = ((rows - 1) * step / 2, (columns - 1) * step / 2)
    data = ((heights - lowest) / span).T.ravel()
    middle = [terrain.corner[0] + half[0], terrain.corner[1] + half[1], lowest]

    def add(spec: Any, number: int) -> None:  # noqa: ANN401
        name = part_name(number)
        spec.add_hfield(
            name=name, size=[*half, span, _DEPTH], nrow=columns, ncol=rows, userdata=data.tolist()
        )
        body = spec.worldbody.add_body(name=name, pos=middle)
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_HFIELD, hfieldname=name, group=SOLID,
            priority=GROUND_PRIORITY, friction=[1.0, 0.0, 0.0], rgba=[0.6, 0.62, 0.6, 1],
            **touching(number, itself=True),
        )  # fmt: skip

    return BodyPart("terrain", (), is_free=False, add=add)


def shape_part(shape: Shape, position: Vector, orientation: Quaternion) -> BodyPart:
    """Return a body of one shape."""
    is_free = shape.mass > 0

    def add(spec: Any, number: int) -> None:  # noqa: ANN401
        body = spec.worldbody.add_body(
            name=part_name(number), pos=list(position), quat=to_engine(orientation)
        )
        if is_free:
            body.add_freejoint(name=part_name(number))
        bits = touching(number, itself=True) if shape.collides else {"contype": 0, "conaffinity": 0}
        body.add_geom(
            mass=shape.mass, rgba=list(shape.color), group=SOLID if shape.collides else SEEN,
            priority=BODY_PRIORITY, friction=[DEFAULT_FRICTION, 0.0, 0.0],
            **_measures(spec, shape, part_name(number)), **bits,
        )  # fmt: skip

    return BodyPart("", (), is_free=is_free, add=add)


def _measures(spec: Any, shape: Shape, name: str) -> dict[str, object]:  # noqa: ANN401
    kinds, size = mujoco.mjtGeom, shape.size
    if shape.kind == "mesh":
        spec.add_mesh(name=name, file=shape.file, scale=[size[0]] * 3,
                      inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX)  # fmt: skip
        return {"type": kinds.mjGEOM_MESH, "meshname": name}
    if shape.kind == "box":
        return {"type": kinds.mjGEOM_BOX, "size": list(size)}
    if shape.kind == "sphere":
        return {"type": kinds.mjGEOM_SPHERE, "size": [size[0], 0, 0]}
    kind = kinds.mjGEOM_CYLINDER if shape.kind == "cylinder" else kinds.mjGEOM_CAPSULE
    return {"type": kind, "size": [size[0], size[1] / 2, 0]}
