"""Observation terms of a robot's own body: joints, base, feet, actions, commands."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roboyard.envs.managers.registry import observation
from roboyard.envs.managers.selections import ALL, FEET, Command, Joints, Links
from roboyard.envs.mdp.geometry import gravity_direction, link_position, seen_from
from roboyard.robots import RobotState
from roboyard.robots.reading import BASE_POSE, CONTACTS, JOINTS, LINKS, MOTORS
from roboyard.sim.settings import Quaternion, Vector

Floats = NDArray[np.float64]
Frame = Literal["body", "world"]
"""Whose axes a vector is told in."""


@observation(JOINTS, unit="rad")
def joint_positions_relative(state: RobotState, joints: Joints = ALL) -> Floats:
    """Return joint positions minus the initial ones [rad] or [m], shape (joints,).

    Encoder offsets that the event ``joint_offsets`` drew are seen here, as on a robot whose zero
    positions are badly calibrated. Source: ``joint_pos_rel`` of Isaac Lab and mjlab.
    """
    positions = state.joint_positions - state.robot.initial_positions
    positions += state.encoder_offsets
    return positions[joints]


@observation(JOINTS, unit="rad/s^2")
def joint_accelerations(state: RobotState, joints: Joints = ALL) -> Floats:
    """Return joint accelerations, averaged over the control step [rad/s^2], shape (joints,)."""
    return state.joint_accelerations[joints]


@observation(JOINTS, MOTORS, unit="N m")
def joint_efforts(state: RobotState) -> Floats:
    """Return the torques on the actuated joints [N m] or [N], shape (actions,)."""
    return state.efforts


@observation(BASE_POSE, unit="m/s", labels=("x", "y", "z"))
def base_linear_velocity(state: RobotState, frame: Frame = "body") -> Vector:
    """Return the base link's velocity in its own axes or the world's [m/s]."""
    return _in_frame(state, state.base_velocity, frame)


@observation(BASE_POSE, unit="rad/s", labels=("x", "y", "z"))
def base_angular_velocity(state: RobotState, frame: Frame = "body") -> Vector:
    """Return the base link's angular velocity in its own axes or the world's [rad/s].

    In the body's axes it is what a gyroscope measures.
    """
    return _in_frame(state, state.base_angular_velocity, frame)


@observation(BASE_POSE, labels=("x", "y", "z"))
def projected_gravity(state: RobotState) -> Vector:
    """Return the direction of gravity in the base link's axes; (0, 0, -1) where it is level.

    Source: legged_gym (Rudin et al. 2022), and Isaac Lab after it.
    """
    return gravity_direction(state)


@observation(BASE_POSE, labels=("x", "y", "z", "w"))
def base_orientation(state: RobotState) -> Quaternion:
    """Return the base link's orientation (x, y, z, w), with w >= 0, so that each has one form."""
    x, y, z, w = state.base_orientation
    return (-x, -y, -z, -w) if w < 0 else (x, y, z, w)


@observation(BASE_POSE, unit="m")
def base_clearance(state: RobotState) -> float:
    """Return the base link's height above the ground right below it [m]."""
    x, y, z = state.base_position
    return z - state.ground_height(x, y)


@observation()
def last_action(state: RobotState) -> Floats:
    """Return the action of the control step that just ended, as it was given."""
    return state.action


@observation()
def previous_action(state: RobotState) -> Floats:
    """Return the action of the control step before the last one, as it was given."""
    return state.previous_action


@observation(LINKS, BASE_POSE, unit="m")
def foot_heights(state: RobotState, links: Links = FEET) -> list[float]:
    """Return how high the links' centres of mass are above the ground below [m], shape (links,)."""
    positions = [link_position(state, link) for link in links]
    return [z - state.ground_height(x, y) for x, y, z in positions]


@observation(LINKS, BASE_POSE, unit="m")
def link_positions(state: RobotState, links: Links = FEET) -> list[float]:
    """Return links' centres of mass as seen from the base link [m], shape (3 * links,)."""
    bx, by, bz = state.base_position
    seen: list[float] = []
    for x, y, z in [link_position(state, link) for link in links]:
        seen += seen_from((x - bx, y - by, z - bz), state.base_orientation)
    return seen


@observation(CONTACTS, unit="N")
def contact_forces(state: RobotState, links: Links = FEET) -> list[float]:
    """Return the sum of normal forces on each link [N], shape (links,)."""
    return [state.contact_forces.get(link, 0.0) for link in links]


@observation()
def command(state: RobotState, name: Command) -> Floats:
    """Return what the task's command of that ``name`` asks for at present."""
    return state.commands[name]


def _in_frame(state: RobotState, vector: Vector, frame: Frame) -> Vector:
    return seen_from(vector, state.base_orientation) if frame == "body" else vector
