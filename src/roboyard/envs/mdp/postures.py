"""Whether a robot is still in an allowed posture: shared by rewards and terminations."""

from __future__ import annotations

from roboyard.envs.managers.selections import Links
from roboyard.robots import RobotState


def is_allowed(
    state: RobotState,
    min_height: float | None,
    max_pitch: float | None,
    no_contact: Links,
    late: bool,
) -> bool:
    """Return whether the base link is high and level enough and no link touches what it may not.

    Args:
        state: The record.
        min_height: The base link must be above it [m].
        max_pitch: Its pitch must be below this [rad], forward and backward.
        no_contact: Links that may not touch the ground.
        late: Look at the contacts of one control step earlier.
    """
    if min_height is not None and not state.base_position[2] > min_height:
        return False
    if max_pitch is not None and not abs(state.base_euler[1]) < max_pitch:
        return False
    if no_contact:
        touching = state.previous_ground_contacts if late else state.ground_contacts
        return touching.isdisjoint(no_contact)
    return True
