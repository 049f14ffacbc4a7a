"""What a body is like as it stands: size, what overlaps. For single looks, not for every step."""

from __future__ import annotations

import numpy as np

from roboyard.sim.pybullet.engine import pybullet
from roboyard.sim.rows import Bounds, Overlap


def find_overlaps(client: int, body: int, other: int, tolerance: float) -> list[Overlap]:
    """Return the pairs of links that overlap by more than ``tolerance`` [m], deepest first.

    Args:
        client: The engine's client.
        body: A body.
        other: Another one, or the same: its self-collision, as far as it was loaded with it.
        tolerance: Depth that does not count [m].
    """
    pybullet.performCollisionDetection(client)
    depths: dict[tuple[int, int], float] = {}
    for point in pybullet.getContactPoints(body, other, physicsClientId=client) or ():
        first, second, depth = point[3], point[4], -point[8]
        pair = (min(first, second), max(first, second)) if body == other else (first, second)
        depths[pair] = max(depths.get(pair, 0.0), depth)
    found = [Overlap(*pair, depth) for pair, depth in depths.items() if depth > tolerance]
    return sorted(found, key=lambda overlap: -overlap.depth)


def find_bounds(client: int, body: int) -> Bounds:
    """Return a box around all links of a body, their margins included."""
    links = range(-1, pybullet.getNumJoints(body, physicsClientId=client))
    boxes = [pybullet.getAABB(body, link, physicsClientId=client) for link in links]
    corners = np.array(boxes)
    x, y, z = corners[:, 0].min(axis=0).tolist()
    lower = (x, y, z)
    x, y, z = corners[:, 1].max(axis=0).tolist()
    return Bounds(lower, (x, y, z))
