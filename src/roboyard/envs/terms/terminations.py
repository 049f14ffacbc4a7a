"""Termination terms."""

from __future__ import annotations

from roboyard.envs.terms.postures import is_allowed
from roboyard.envs.terms.registry import termination
from roboyard.envs.terms.selections import NONE, Joint, Links
from roboyard.robots import RobotState
from roboyard.robots.reading import BASE_POSE, GROUND_CONTACTS, JOINTS


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
