"""Reward terms. Costs are positive values: give them a negative weight."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from roboyard.envs.managers.registry import TermSetup, reward
from roboyard.envs.managers.selections import (
    ACTUATED,
    ALL,
    NONE,
    Joint,
    Joints,
    Link,
    Links,
    Object,
)
from roboyard.envs.mdp.geometry import centroid
from roboyard.envs.mdp.postures import is_allowed
from roboyard.robots import RobotState
from roboyard.robots.reading import BASE_POSE, GROUND_CONTACTS, JOINTS, LINKS, OBJECTS
from roboyard.sim.rows import CENTER


@reward()
def constant(state: RobotState) -> float:
    """Return 1 for every control step."""
    del state  # Unused.
    return 1.0


@reward(BASE_POSE, GROUND_CONTACTS)
def posture(
    state: RobotState,
    *,
    min_height: float | None = None,
    max_pitch: float | None = None,
    no_contact: Links = NONE,
    late: bool = False,
    good: float = 1.0,
    bad: float = -1.0,
) -> float:
    """Return ``good`` in an allowed posture, else ``bad``; see ``postures.is_allowed``."""
    return good if is_allowed(state, min_height, max_pitch, no_contact, late) else bad


@reward(BASE_POSE, LINKS, unit="m/s", name="progress")
class Progress:
    """Speed at which the mean of the links nears a point on the ground [m/s].

    Source: the potential of Roboschool's locomotion environments.
    """

    def __init__(
        self,
        setup: TermSetup,
        target: tuple[float, float],
        floor_counts: bool = False,
        compat_first_episode: bool = False,
    ) -> None:
        """Keep the target.

        Args:
            setup: What the term may know.
            target: The point [m].
            floor_counts: Count the floor as a link at the origin, as pybullet_envs_gymnasium does.
            compat_first_episode: Leave the floor out at the reset, as pybullet_envs_gymnasium
                does in the first episode after it was created (and only then); it makes the
                first reward jump.
        """
        self._target = target
        self._floor_counts = floor_counts
        self._floor_counts_at_reset = floor_counts and not compat_first_episode
        self._period = setup.control_period
        self._distance = 0.0

    def reset(self, state: RobotState) -> None:
        """Measure the first distance."""
        self._distance = self._measure(state, self._floor_counts_at_reset)

    def __call__(self, state: RobotState) -> float:
        """Return the decrease of the distance over time [m/s]."""
        before, self._distance = self._distance, self._measure(state, self._floor_counts)
        return (before - self._distance) / self._period

    def _measure(self, state: RobotState, floor_counts: bool) -> float:
        x, y = centroid(state, floor_counts)
        return math.hypot(self._target[0] - x, self._target[1] - y)

    def get_state(self) -> float:
        """Return the last distance [m]."""
        return self._distance

    def set_state(self, state: Any) -> None:  # noqa: ANN401
        """Take over the last distance."""
        self._distance = state


@reward(OBJECTS, LINKS, unit="m", name="approach")
class Approach:
    """Decrease of the distance from a link to an object in the control step [m]."""

    def __init__(self, setup: TermSetup, link: Link, name: Object) -> None:
        """Keep the names."""
        del setup  # Unused.
        self._link = link
        self._name = name
        self._distance = 0.0

    def reset(self, state: RobotState) -> None:
        """Measure the first distance."""
        self._distance = math.dist(state.link_rows[self._link][CENTER], state.objects[self._name])

    def __call__(self, state: RobotState) -> float:
        """Return how much nearer the link came [m]."""
        before = self._distance
        self.reset(state)
        return before - self._distance

    def get_state(self) -> float:
        """Return the last distance [m]."""
        return self._distance

    def set_state(self, state: Any) -> None:  # noqa: ANN401
        """Take over the last distance."""
        self._distance = state


@reward(JOINTS)
def motor_work(state: RobotState, joints: Joints = ACTUATED, velocity_scale: float = 0.1) -> float:
    """Return the mean of |action * scaled joint velocity|.

    ``joints`` are those that the action drives, in its order. Source: the electricity cost of
    Roboschool.
    """
    speeds = abs(state.joint_velocities[joints])
    return velocity_scale * float(abs(state.action).dot(speeds)) / len(speeds)


@reward()
def action_square(state: RobotState) -> float:
    """Return the mean square of the action as it was given, not limited."""
    action = state.action
    return float(action.dot(action)) / len(action)  # quicker than @


@reward()
def action_size(state: RobotState) -> float:
    """Return the mean absolute value of the action as it was given, not limited."""
    return float(np.abs(state.action).sum()) / len(state.action)


@reward(JOINTS)
def joints_at_limit(state: RobotState, joints: Joints = ALL, threshold: float = 0.99) -> float:
    """Return the number of joints beyond ``threshold`` of their range, from its middle."""
    beyond = 0.0
    for fraction in state.joint_fractions[joints].tolist():  # quicker than arrays this small
        if fraction > threshold or fraction < -threshold:
            beyond += 1.0
    return beyond


@reward(JOINTS)
def joint_stuck(state: RobotState, joint: Joint, tolerance: float = 0.01) -> float:
    """Return 1 while a joint is within ``tolerance`` of a limit, as a share of half its range."""
    return float(abs(abs(state.joint_fractions[joint]) - 1.0) < tolerance)


@reward(JOINTS)
def joint_upright(state: RobotState, joint: Joint) -> float:
    """Return the cosine of a joint's angle: 1 where it is zero, -1 opposite of it."""
    return math.cos(state.joint_positions[joint])
