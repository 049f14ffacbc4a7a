"""Shapes that URDF gives by their measures."""

from __future__ import annotations

from collections.abc import Callable

from roboyard.robots.readers.values import Reading
from roboyard.robots.readers.xml import XmlNode
from roboyard.sim.model import Box, Capsule, Cylinder, Ellipsoid, Geometry, Plane, Sphere

_MEASURES: dict[str, dict[str, int]] = {
    "box": {"size": 3},
    "sphere": {"radius": 1},
    "cylinder": {"radius": 1, "length": 1},
    "capsule": {"radius": 1, "length": 1},
    "ellipsoid": {"radii": 3},
    "plane": {},
}
"""Attributes of the shapes, and how many numbers each holds."""


def shape_of(reading: Reading, node: XmlNode, where: str) -> Geometry | None:
    """Return the shape of an element, or None where it has no extent.

    Raises:
        RobotDescriptionError: A measure is missing, no number or negative.
    """
    measures: list[float] = []
    for name, count in _MEASURES[node.tag].items():
        values = reading.numbers(node, name, count, where)
        if values is None:
            raise reading.refuse(node, where, f"<{node.tag}> has no {name}.")
        if min(values) < 0:
            raise reading.refuse(
                node, where, f"{name} of <{node.tag}> is '{node.get(name)}', but must be above 0."
            )
        measures += values
    if 0 in measures:
        return None
    return SHAPES[node.tag](measures)


SHAPES: dict[str, Callable[[list[float]], Geometry]] = {
    "box": lambda m: Box((m[0], m[1], m[2])),
    "sphere": lambda m: Sphere(m[0]),
    "cylinder": lambda m: Cylinder(m[0], m[1]),
    "capsule": lambda m: Capsule(m[0], m[1]),
    "ellipsoid": lambda m: Ellipsoid((m[0], m[1], m[2])),
    "plane": lambda m: Plane(),
}
