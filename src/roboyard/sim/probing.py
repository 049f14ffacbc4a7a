"""What a body is like as it stands: masses, size, what overlaps. For looks, not for every step."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roboyard.sim.dynamics import original_values
from roboyard.sim.engine import pybullet
from roboyard.sim.settings import Vector

if TYPE_CHECKING:
    from roboyard.sim.world import World


class LinkMass(NamedTuple):
    """Mass of one link."""

    mass: float
    """Mass [kg]."""
    inertia: Vector
    """Principal moments of inertia [kg m^2]."""


class Overlap(NamedTuple):
    """Two links that are inside each other."""

    link: int
    """A link; -1 is the base."""
    other: int
    """A link of the other body."""
    depth: float
    """How deep the links are in each other [m]."""


class Bounds(NamedTuple):
    """A box along the world's axes around a body."""

    lower: Vector
    """Its corner of smallest coordinates [m]."""
    upper: Vector
    """Its corner of largest coordinates [m]."""


def link_mass(world: World, body: int, link: int) -> LinkMass:
    """Return mass and inertia of a link; -1 is the base."""
    values = original_values(world.client, body, link)
    x, y, z = values["localInertiaDiagonal"]  # type: ignore[misc]
    return LinkMass(float(values["mass"]), (x, y, z))  # type: ignore[arg-type]


def find_overlaps(world: World, body: int, other: int, tolerance: float) -> list[Overlap]:
    """Return the pairs of links that overlap by more than ``tolerance`` [m], deepest first.

    Args:
        world: The world.
        body: A body.
        other: Another one, or the same: its self-collision, as far as it was loaded with it.
        tolerance: Depth that does not count [m].
    """
    pybullet.performCollisionDetection(world.client)
    depths: dict[tuple[int, int], float] = {}
    for point in pybullet.getContactPoints(body, other, physicsClientId=world.client) or ():
        first, second, depth = point[3], point[4], -point[8]
        pair = (min(first, second), max(first, second)) if body == other else (first, second)
        depths[pair] = max(depths.get(pair, 0.0), depth)
    found = [Overlap(*pair, depth) for pair, depth in depths.items() if depth > tolerance]
    return sorted(found, key=lambda overlap: -overlap.depth)


def find_bounds(world: World, body: int) -> Bounds:
    """Return a box around all links of a body, their margins included."""
    links = range(-1, pybullet.getNumJoints(body, physicsClientId=world.client))
    boxes = [pybullet.getAABB(body, link, physicsClientId=world.client) for link in links]
    corners = np.array(boxes)
    x, y, z = corners[:, 0].min(axis=0).tolist()
    lower = (x, y, z)
    x, y, z = corners[:, 1].max(axis=0).tolist()
    return Bounds(lower, (x, y, z))
