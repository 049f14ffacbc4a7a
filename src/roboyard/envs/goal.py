"""Goals: what was achieved, what is desired, and the reward for coming near."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Space
from numpy.typing import NDArray

from roboyard.config.distributions import largest, smallest
from roboyard.config.objects import GoalConfig
from roboyard.envs.managers.binding import BoundTerm
from roboyard.errors import ConfigError
from roboyard.robots import Robot
from roboyard.robots.effectors import CartesianActuator
from roboyard.robots.reach import Reach, reach_of

Floats = NDArray[np.floating]
ACHIEVED, DESIRED = "achieved_goal", "desired_goal"


class Goal:
    """Compares achieved with desired goals, one pair or many at once."""

    def __init__(self, config: GoalConfig, space: Space[Any]) -> None:
        """Check that the observation holds both.

        Raises:
            ConfigError: A group is missing, or the two differ in shape.
        """
        groups = space.spaces if isinstance(space, Dict) else {}
        shapes = {name: groups[name].shape for name in (ACHIEVED, DESIRED) if name in groups}
        if len(shapes) < 2 or len(groups) < 3:
            raise ConfigError(
                f"goal: the observation needs the groups '{ACHIEVED}' and '{DESIRED}' beside "
                f"others; it has: {', '.join(groups) or 'one group only'}. Set 'group' of its "
                "terms."
            )
        if shapes[ACHIEVED] != shapes[DESIRED] or not isinstance(groups[ACHIEVED], Box):
            raise ConfigError(
                f"goal: '{ACHIEVED}' has shape {shapes[ACHIEVED]} and '{DESIRED}' has "
                f"{shapes[DESIRED]}; they must be the same to be compared."
            )
        self._tolerance = config.tolerance
        self._is_sparse = config.reward == "sparse"

    def distances(self, achieved: Floats, desired: Floats) -> Floats:
        """Return Euclidean distances, shape (...) for goals of shape (..., entries)."""
        gap = np.asarray(achieved, np.float64) - np.asarray(desired, np.float64)
        result: Floats = np.sqrt(np.einsum("...i,...i->...", gap, gap))
        return result

    def successes(self, achieved: Floats, desired: Floats) -> NDArray[np.bool_]:
        """Return whether goals are achieved, shape (...)."""
        near: NDArray[np.bool_] = self.distances(achieved, desired) < self._tolerance
        return near

    def rewards(self, achieved: Floats, desired: Floats) -> Floats:
        """Return rewards, shape (...); see ``GoalConfig.reward``."""
        if not self._is_sparse:
            return -self.distances(achieved, desired)
        near: Floats = self.successes(achieved, desired).astype(np.float64)
        return near - 1.0


def check_reach(robot: Robot, terms: Mapping[str, list[BoundTerm]]) -> None:
    """Refuse goals that the robot cannot get at, wherever its joints are.

    Points are compared with the length of the chain of joints that moves the end effector, so
    what is refused is out of reach for certain; what is not may still be hard to get at.

    Raises:
        ConfigError: A corner of the range of a ``point`` command is too far away.
    """
    effectors = [a for a in robot.actuators if isinstance(a, CartesianActuator)]
    if not effectors or not robot.spec.fixed_base:
        return
    link = str(effectors[0].config.link)
    reach = reach_of(robot, robot.link(link))
    for term in terms["commands"]:
        if {"x", "y", "z"} <= term.params.keys() and not term.params.get("from_start"):
            _check_point(term, robot, link, reach)


def _check_point(term: BoundTerm, robot: Robot, link: str, reach: Reach) -> None:
    ranges = [(smallest(term.params[a]), largest(term.params[a])) for a in "xyz"]
    corner = max(itertools.product(*ranges), key=lambda point: math.dist(point, reach.center))
    distance = math.dist(corner, reach.center)
    if math.isfinite(distance) and distance > reach.radius:
        x, y, z = corner
        raise ConfigError(
            f"commands.{term.name}: ({x:g}, {y:g}, {z:g}) is out of reach: it is {distance:.2f} m "
            f"from the first joint of robot '{robot.name}', and link '{link}' gets "
            f"{reach.radius:.2f} m far. Narrow the range."
        )
