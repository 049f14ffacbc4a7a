"""How far a link of a robot can get."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

from roboyard.robots.robot import BASE, Robot
from roboyard.sim.rows import CENTER, FRAME_POSITION
from roboyard.sim.settings import Vector


class Reach(NamedTuple):
    """A ball outside of which a link never is."""

    center: Vector
    """Where the first joint is [m]."""
    radius: float
    """Length of the stretched chain of links [m]."""


def reach_of(robot: Robot, link: int) -> Reach:
    """Return the ball around the first joint that the centre of mass of ``link`` stays in.

    Turning joints leave the distances between neighbouring joints as they are; sliding ones add
    what they can move.
    """
    joints = robot.world.joints(robot.body)
    chain = [link]
    while joints[chain[-1]].parent != BASE:
        chain.append(joints[chain[-1]].parent)
    chain.reverse()
    while len(chain) > 1 and not joints[chain[0]].is_movable:
        chain.pop(0)
    rows = robot.world.link_reader(robot.body, chain)()
    places = [row[FRAME_POSITION] for row in rows] + [rows[-1][CENTER]]
    radius = sum(math.dist(a, b) for a, b in itertools.pairwise(places))
    slides = (joints[i] for i in chain if joints[i].kind == "prismatic")
    radius += sum(max(j.upper - j.lower, 0.0) for j in slides)
    return Reach(places[0], radius)
