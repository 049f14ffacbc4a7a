"""Reward terms for walking: following a velocity, staying upright, what the feet do.

Those without another source follow legged_gym (Rudin et al. 2022, "Learning to Walk in Minutes
Using Massively Parallel Deep Reinforcement Learning"), as Isaac Lab and mjlab do. Costs are
positive: give them a negative weight. Rewards are values, not rates: legged_gym multiplies its
weights by the control period, so multiply its published weights by it too.
"""

from __future__ import annotations

import math
from typing import Any

from pydantic import PositiveFloat

from roboyard.envs.managers.registry import TermSetup, reward
from roboyard.envs.managers.selections import ALL, FEET, Command, Joints, Links
from roboyard.envs.mdp.geometry import gravity_direction, link_velocity, seen_from
from roboyard.errors import ConfigError
from roboyard.robots import RobotState
from roboyard.robots.reading import BASE_POSE, CONTACTS, GROUND_CONTACTS, JOINTS, LINK_MOTION


@reward(BASE_POSE)
def track_linear_velocity(
    state: RobotState, command: Command = "velocity", width: PositiveFloat = 0.5
) -> float:
    """Return exp(-e^2 / width^2) of the error e of the horizontal velocity in body axes.

    Args:
        state: The record.
        command: Command whose first two entries are forward and sideways velocity [m/s].
        width: Error at which the reward is down to 1/e [m/s].
    """
    forward, sideways, _ = seen_from(state.base_velocity, state.base_orientation)
    wanted = state.commands[command]
    error = (wanted[0] - forward) ** 2 + (wanted[1] - sideways) ** 2
    return math.exp(-error / width**2)


@reward(BASE_POSE)
def track_turning(
    state: RobotState, command: Command = "velocity", width: PositiveFloat = 0.5
) -> float:
    """Return exp(-e^2 / width^2) of the error e of the turning speed about the body's z axis.

    Args:
        state: The record.
        command: Command whose third entry is the turning speed [rad/s].
        width: Error at which the reward is down to 1/e [rad/s].
    """
    turning = seen_from(state.base_angular_velocity, state.base_orientation)[2]
    return math.exp(-((state.commands[command][2] - turning) ** 2) / width**2)


@reward(BASE_POSE, unit="m/s")
def velocity_error(state: RobotState, command: Command = "velocity") -> float:
    """Return how far the horizontal velocity in body axes is from the command's [m/s].

    It serves as a metric of evaluations.
    """
    forward, sideways, _ = seen_from(state.base_velocity, state.base_orientation)
    wanted = state.commands[command]
    return math.hypot(wanted[0] - forward, wanted[1] - sideways)


@reward(BASE_POSE, unit="m/s")
def forward_velocity_error(state: RobotState, command: Command = "velocity") -> float:
    """Return how far the velocity along the body's x axis is from the command's [m/s]."""
    forward = seen_from(state.base_velocity, state.base_orientation)[0]
    return abs(float(state.commands[command][0]) - forward)


@reward(BASE_POSE, unit="rad/s")
def turning_error(state: RobotState, command: Command = "velocity") -> float:
    """Return how far the turning speed about the body's z axis is from the command's [rad/s]."""
    turning = seen_from(state.base_angular_velocity, state.base_orientation)[2]
    return abs(float(state.commands[command][2]) - turning)


@reward(BASE_POSE, unit="m/s")
def forward_velocity(state: RobotState, limit: float | None = None) -> float:
    """Return the velocity along the body's x axis, at most ``limit`` [m/s]."""
    forward = seen_from(state.base_velocity, state.base_orientation)[0]
    return forward if limit is None else min(forward, limit)


@reward(BASE_POSE, unit="m^2/s^2")
def vertical_velocity(state: RobotState) -> float:
    """Return the square of the velocity along the body's z axis [m^2/s^2]."""
    return seen_from(state.base_velocity, state.base_orientation)[2] ** 2


@reward(BASE_POSE, unit="rad^2/s^2")
def rocking(state: RobotState) -> float:
    """Return the squared angular velocity about the body's x and y axes [rad^2/s^2]."""
    x, y, _ = seen_from(state.base_angular_velocity, state.base_orientation)
    return x * x + y * y


@reward(BASE_POSE)
def upright(state: RobotState) -> float:
    """Return the cosine of the tilt: 1 where the base link is level, -1 upside down."""
    return -gravity_direction(state)[2]


@reward(BASE_POSE)
def tilt(state: RobotState) -> float:
    """Return the squared sine of the tilt: 0 level, 1 on its side."""
    x, y, _ = gravity_direction(state)
    return x * x + y * y


@reward(BASE_POSE, unit="m^2")
def height_error(state: RobotState, target: float) -> float:
    """Return the squared error of the base link's height above the ground below it [m^2].

    Args:
        state: The record.
        target: Height that is wanted [m].
    """
    x, y, z = state.base_position
    return float((z - state.ground_height(x, y) - target) ** 2)


@reward(GROUND_CONTACTS, name="foot_air_time")
class FootAirTime:
    """How much longer than a threshold each foot was in the air, at the moment it touches down.

    It rewards long steps: a foot that lands after ``threshold`` gives 0, after less gives a
    negative value. Nothing is given while the command asks for standing.
    """

    def __init__(
        self,
        setup: TermSetup,
        links: Links = FEET,
        threshold: float = 0.5,
        command: Command | None = None,
        least_speed: float = 0.1,
    ) -> None:
        """Keep the numbers.

        Args:
            setup: What the term may know.
            links: The feet.
            threshold: Time in the air that gives 0 [s].
            command: Velocity command; where its first two entries are slower than
                ``least_speed``, the term is 0. By default it always counts.
            least_speed: See ``command`` [m/s].
        """
        self._links = links
        self._period = setup.control_period
        self._threshold = threshold
        self._command = command
        self._least_speed = least_speed
        self._times = [0.0] * len(links)

    def reset(self, state: RobotState) -> None:
        """Count from zero."""
        del state  # Unused.
        self._times = [0.0] * len(self._links)

    def __call__(self, state: RobotState) -> float:
        """Return the sum over feet that just touched down [s]."""
        total = 0.0
        for index, link in enumerate(self._links):
            if link not in state.ground_contacts:
                self._times[index] += self._period
            elif self._times[index] > 0.0:
                total += self._times[index] - self._threshold
                self._times[index] = 0.0
        if self._command is not None:
            x, y = state.commands[self._command][:2]
            if math.hypot(x, y) < self._least_speed:
                return 0.0
        return total

    def get_state(self) -> list[float]:
        """Return the times in the air [s]."""
        return list(self._times)

    def set_state(self, state: Any) -> None:  # noqa: ANN401
        """Take over the times in the air."""
        self._times = list(state)


@reward(GROUND_CONTACTS, LINK_MOTION, unit="m^2/s^2")
def foot_slip(state: RobotState, links: Links = FEET) -> float:
    """Return the summed squared horizontal velocity of links that touch the ground [m^2/s^2]."""
    total = 0.0
    for link in links:
        if link in state.ground_contacts:
            x, y, _ = link_velocity(state, link)
            total += x * x + y * y
    return total


@reward(CONTACTS)
def undesired_contacts(state: RobotState, links: Links, threshold: float = 1.0) -> float:
    """Return how many of ``links`` are pressed with more than ``threshold`` [N]."""
    forces = state.contact_forces
    return float(sum(forces.get(link, 0.0) > threshold for link in links))


@reward(CONTACTS, unit="N")
def contact_force_excess(state: RobotState, links: Links = FEET, limit: float = 100.0) -> float:
    """Return the summed normal force beyond ``limit`` on each link [N]."""
    forces = state.contact_forces
    return sum(max(forces.get(link, 0.0) - limit, 0.0) for link in links)


@reward(JOINTS, unit="rad")
def posture_error(state: RobotState, joints: Joints = ALL) -> float:
    """Return the summed distance of the joints from their initial positions [rad]."""
    error = state.joint_positions - state.robot.initial_positions
    return float(abs(error[joints]).sum())


@reward(JOINTS, unit="rad")
def stand_still(
    state: RobotState, joints: Joints = ALL, command: Command = "velocity", least: float = 0.1
) -> float:
    """Return ``posture_error`` while the command asks for less than ``least``, else 0 [rad]."""
    wanted = state.commands[command]
    return posture_error(state, joints) if float(abs(wanted).max()) < least else 0.0


@reward(GROUND_CONTACTS)
def gait_match(state: RobotState, command: Command = "gait", links: Links = FEET) -> float:
    """Return the share of feet that are in the air or on the ground as the gait clock says.

    The command gives (sin, cos) of each foot's phase; a foot should stand while the sine is
    positive. Source: the contact schedule of "Walk These Ways" (Margolis & Agrawal 2022), with
    hard edges.

    Raises:
        ConfigError: The command has another number of feet.
    """
    phases = state.commands[command][0::2]
    if len(phases) != len(links):
        raise ConfigError(
            f"gait_match: the command '{command}' has {len(phases)} phases and there are "
            f"{len(links)} feet. Give the command one offset for each foot, or name the links."
        )
    pairs = zip(links, phases, strict=True)
    matches = [(link in state.ground_contacts) == bool(sine > 0) for link, sine in pairs]
    return sum(matches) / len(links)
