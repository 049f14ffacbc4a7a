"""Reward terms for what motors do: torque, power, smoothness, limits. Costs are positive.

Those without another source follow legged_gym (Rudin et al. 2022) and Isaac Lab.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from roboyard.envs.managers.registry import TermSetup, reward
from roboyard.envs.managers.selections import ALL, Joints
from roboyard.robots import RobotState
from roboyard.robots.reading import JOINTS, MOTORS

_ZERO = np.array(0.0)  # numpy converts scalars at every call
Share = Annotated[float, Field(gt=0.0, le=1.0)]


@reward()
def alive(state: RobotState) -> float:
    """Return 1 for every control step of the episode."""
    del state  # Unused.
    return 1.0


@reward()
def action_rate(state: RobotState) -> float:
    """Return the summed squared change of the action since the last control step."""
    change = state.action - state.previous_action
    return float(change.dot(change))


@reward(name="action_acceleration")
class ActionAcceleration:
    """Summed squared second difference of the action. Source: mjlab and "Walk These Ways"."""

    def __init__(self, setup: TermSetup) -> None:
        """Start at zero."""
        self._change: NDArray[np.float64] = np.zeros(setup.robot.num_actions)

    def reset(self, state: RobotState) -> None:
        """Forget the last change."""
        self._change = np.zeros(len(state.action))

    def __call__(self, state: RobotState) -> float:
        """Return the squared change of the change."""
        before, self._change = self._change, state.action - state.previous_action
        second = self._change - before
        return float(second.dot(second))

    def get_state(self) -> list[float]:
        """Return the last change."""
        change: list[float] = self._change.tolist()
        return change

    def set_state(self, state: Any) -> None:  # noqa: ANN401
        """Take over the last change."""
        self._change = np.array(state)


@reward(JOINTS, MOTORS, unit="N^2 m^2")
def torque_square(state: RobotState) -> float:
    """Return the sum of squared torques on the actuated joints [N^2 m^2]."""
    efforts = state.efforts
    return float(efforts.dot(efforts))


@reward(JOINTS, MOTORS, unit="W")
def power(state: RobotState, recovers: bool = False) -> float:
    """Return the mechanical power of the actuated joints [W].

    Args:
        state: The record.
        recovers: Count braking as power that comes back; else its absolute value costs.
    """
    powers = state.efforts * state.joint_velocities[state.robot.actuated]
    return float(powers.sum() if recovers else np.abs(powers).sum())


@reward(JOINTS, unit="rad^2/s^2")
def joint_velocity_square(state: RobotState, joints: Joints = ALL) -> float:
    """Return the sum of squared joint velocities [rad^2/s^2]."""
    velocities = state.joint_velocities[joints]
    return float(velocities.dot(velocities))


@reward(JOINTS, unit="rad^2/s^4")
def joint_acceleration_square(state: RobotState, joints: Joints = ALL) -> float:
    """Return the sum of squared joint accelerations over the control step [rad^2/s^4]."""
    accelerations = state.joint_accelerations[joints]
    return float(accelerations.dot(accelerations))


@reward(JOINTS, unit="rad")
def joint_limit_excess(state: RobotState, joints: Joints = ALL, soft: Share = 0.9) -> float:
    """Return how far joints are beyond the middle ``soft`` share of their range, summed [rad].

    Joints without limits count nothing.
    """
    beyond = np.maximum(abs(state.joint_fractions[joints]) - soft, _ZERO)
    return float((beyond * state.robot.half_ranges[joints]).sum())


@reward(JOINTS, MOTORS)
def torque_limit_excess(state: RobotState, soft: Share = 0.9) -> float:
    """Return by how much torques are beyond ``soft`` of the limit, summed, as shares of it."""
    limits = np.concatenate([actuator.effort_limit for actuator in state.robot.actuators])
    shares = np.abs(state.efforts) / limits
    return float(np.maximum(shares - soft, 0.0).sum())
