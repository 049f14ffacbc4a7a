"""Terms about reaching something: an object, a commanded point. Lengths in metres."""

from __future__ import annotations

import math

from pydantic import PositiveFloat

from roboyard.envs.managers.registry import observation, reward, termination
from roboyard.envs.managers.selections import Command, Link, Object
from roboyard.envs.mdp.geometry import link_position, seen_from
from roboyard.robots import RobotState
from roboyard.robots.reading import BASE_POSE, LINKS, OBJECTS
from roboyard.sim.settings import Vector


@observation(OBJECTS, BASE_POSE, unit="m", labels=("x", "y", "z"))
def object_in_body(state: RobotState, name: Object) -> Vector:
    """Return where an object is, as seen from the base link [m]."""
    return _from_base(state, state.objects[name])


@observation(BASE_POSE, unit="m", labels=("x", "y", "z"))
def point_in_body(state: RobotState, name: Command) -> Vector:
    """Return where a commanded point is, as seen from the base link [m]."""
    x, y, z = state.commands[name].tolist()
    return _from_base(state, (x, y, z))


@reward(OBJECTS, LINKS, BASE_POSE, unit="m")
def distance(state: RobotState, link: Link, name: Object) -> float:
    """Return the distance from a link to an object, between centres of mass [m]."""
    return math.dist(link_position(state, link), state.objects[name])


@reward(LINKS, BASE_POSE, unit="m")
def point_distance(state: RobotState, link: Link, name: Command) -> float:
    """Return the distance from a link's centre of mass to a commanded point [m]."""
    return math.dist(link_position(state, link), state.commands[name])


@reward(OBJECTS, LINKS, BASE_POSE)
def nearness(state: RobotState, link: Link, name: Object, width: PositiveFloat = 0.1) -> float:
    """Return 1 - tanh(d / width) of the distance d [m] from a link to an object.

    Source: the reaching reward of robosuite and Isaac Lab's manipulation tasks.
    """
    return 1.0 - math.tanh(distance(state, link, name) / width)


@reward(LINKS, BASE_POSE)
def point_nearness(
    state: RobotState, link: Link, name: Command, width: PositiveFloat = 0.1
) -> float:
    """Return 1 - tanh(d / width) of the distance d [m] from a link to a commanded point."""
    return 1.0 - math.tanh(point_distance(state, link, name) / width)


@reward(OBJECTS, LINKS, BASE_POSE)
def success(state: RobotState, link: Link, name: Object, tolerance: PositiveFloat = 0.05) -> float:
    """Return 1 while a link is within ``tolerance`` [m] of an object, else 0."""
    return float(distance(state, link, name) < tolerance)


@termination(OBJECTS, LINKS, BASE_POSE)
def reached(state: RobotState, link: Link, name: Object, tolerance: PositiveFloat = 0.05) -> bool:
    """Return whether a link is within ``tolerance`` [m] of an object; use ``kind: success``."""
    return distance(state, link, name) < tolerance


@termination(LINKS, BASE_POSE)
def point_reached(
    state: RobotState, link: Link, name: Command, tolerance: PositiveFloat = 0.05
) -> bool:
    """Return whether a link is within ``tolerance`` [m] of a commanded point."""
    return point_distance(state, link, name) < tolerance


def _from_base(state: RobotState, point: Vector) -> Vector:
    x, y, z = (there - here for there, here in zip(point, state.base_position, strict=True))
    return seen_from((x, y, z), state.base_orientation)
