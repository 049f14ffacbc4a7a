"""Adding bodies made of one shape."""

from __future__ import annotations

from roboyard.sim.pybullet.engine import pybullet
from roboyard.sim.settings import Quaternion, Vector
from roboyard.sim.shapes import Shape


def add_shape(client: int, shape: Shape, position: Vector, orientation: Quaternion) -> int:
    """Put ``shape`` into the world; return the body's id."""
    collision = -1
    if shape.collides:
        collision = pybullet.createCollisionShape(
            **_geometry(shape, "height"), physicsClientId=client
        )
    visual = pybullet.createVisualShape(
        **_geometry(shape, "length"), rgbaColor=shape.color, physicsClientId=client
    )
    body: int = pybullet.createMultiBody(
        shape.mass, collision, visual, position, orientation, physicsClientId=client
    )
    return body


def _geometry(shape: Shape, length_name: str) -> dict[str, object]:
    if shape.kind == "box":
        return {"shapeType": pybullet.GEOM_BOX, "halfExtents": shape.size}
    if shape.kind == "mesh":
        return {
            "shapeType": pybullet.GEOM_MESH,
            "fileName": shape.file,
            "meshScale": (shape.size[0],) * 3,
        }
    if shape.kind == "sphere":
        return {"shapeType": pybullet.GEOM_SPHERE, "radius": shape.size[0]}
    kind = pybullet.GEOM_CYLINDER if shape.kind == "cylinder" else pybullet.GEOM_CAPSULE
    return {"shapeType": kind, "radius": shape.size[0], length_name: shape.size[1]}
