"""Termination terms."""

from __future__ import annotations

import math

from pydantic import PositiveFloat

from roboyard.envs.managers.registry import termination
from roboyard.envs.managers.selections import ALL, NONE, Joint, Joints, Links
from roboyard.envs.mdp.geometry import gravity_direction
from roboyard.envs.mdp.postures import is_allowed
from roboyard.robots import RobotState
from roboyard.robots.reading import BASE_POSE, CONTACTS, GROUND_CONTACTS, JOINTS


@termination(BASE_POSE, GROUND_CONTACTS)
def fallen(
    state: RobotState,
    min_height: float | None = None,
    max_pitch: float | None = None,
    no_contact: Links = NONE,
    late: bool = False,
) -> bool:
    """Return whether the posture is not allowed any more; see ``postures.is_allowed``."""
    return not is_allowed(state, min_height, max_pitch, no_contact, late)


@termination(JOINTS)
def joint_beyond(state: RobotState, joint: Joint, limit: float) -> bool:
    """Return whether a joint is further than ``limit`` from zero [rad] or [m]."""
    return abs(float(state.joint_positions[joint])) > limit


@termination(BASE_POSE)
def tilted(state: RobotState, limit: PositiveFloat = 1.0) -> bool:
    """Return whether the base link leans further than ``limit`` [rad] in any direction."""
    return -gravity_direction(state)[2] < math.cos(limit)


@termination(BASE_POSE)
def too_low(state: RobotState, limit: float) -> bool:
    """Return whether the base link is less than ``limit`` above the ground below it [m]."""
    x, y, z = state.base_position
    return z - state.ground_height(x, y) < limit


@termination(CONTACTS)
def illegal_contact(state: RobotState, links: Links, threshold: float = 1.0) -> bool:
    """Return whether any of ``links`` is pressed with more than ``threshold`` [N].

    Source: legged_gym, Isaac Lab.
    """
    forces = state.contact_forces
    return any(forces.get(link, 0.0) > threshold for link in links)


@termination(BASE_POSE)
def out_of_bounds(
    state: RobotState,
    low: tuple[float | None, float | None, float | None] = (None, None, None),
    high: tuple[float | None, float | None, float | None] = (None, None, None),
) -> bool:
    """Return whether the base link left a box in the world's frame [m]; null is no bound.

    Give it ``kind: truncation`` where leaving is no failure of the robot.
    """
    rows = zip(state.base_position, low, high, strict=True)
    return any(
        (least is not None and value < least) or (most is not None and value > most)
        for value, least, most in rows
    )


@termination(BASE_POSE)
def wandered_off(state: RobotState, limit: PositiveFloat) -> bool:
    """Return whether the base link is further than ``limit`` from where it began [m]."""
    (x, y, _), (x0, y0, _) = state.base_position, state.initial_base_position
    return math.hypot(x - x0, y - y0) > limit


@termination()
def time_limit(state: RobotState, seconds: PositiveFloat) -> bool:
    """Return whether the episode has lasted ``seconds`` of simulated time [s].

    Give it ``kind: truncation``: learners then know that the future was cut off, not lost.
    """
    return state.step * state.control_period >= seconds - 1e-9


@termination(JOINTS)
def joint_too_fast(state: RobotState, limit: PositiveFloat, joints: Joints = ALL) -> bool:
    """Return whether any joint moves faster than ``limit`` [rad/s] or [m/s]."""
    return float(abs(state.joint_velocities[joints]).max()) > limit
