"""Small readings of what MuJoCo has compiled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roboyard.sim.mechanics import rotation_from_quaternion
from roboyard.sim.model import Pose

if TYPE_CHECKING:
    import mujoco

Array = NDArray[Any]


def strength(model: mujoco.MjModel, actuator: int) -> float:
    """Return how strong a drive of a joint is at most [N m] or [N]."""
    gear = abs(float(model.actuator_gear[actuator][0]))
    if model.actuator_forcelimited[actuator]:
        return gear * float(np.abs(model.actuator_forcerange[actuator]).max())
    is_plain = (
        int(model.actuator_gaintype[actuator]) == 0 and int(model.actuator_biastype[actuator]) == 0
    )
    if is_plain and model.actuator_ctrllimited[actuator]:
        gain = abs(float(model.actuator_gainprm[actuator][0]))
        return gear * gain * float(np.abs(model.actuator_ctrlrange[actuator]).max())
    return math.inf


def pair(ranges: Array, limited: Array, number: int) -> tuple[float, float] | None:
    """Return a range, or None where it does not apply."""
    if not limited[number]:
        return None
    lower, upper = ranges[number].tolist()
    return lower, upper


def rows(table: Array, starts: Array, counts: Array, number: int) -> Array:
    """Return the rows of one mesh."""
    start = int(starts[number])
    return table[start : start + int(counts[number])]


def pose(position: Array, quaternion: Array) -> Pose:
    """Return a pose of MuJoCo, quaternion (w, x, y, z)."""
    return Pose(position.astype(np.float64), rotation_from_quaternion(*quaternion.tolist()))


def line(info: str) -> int:
    """Return the line in an element's note; 0 if it has none."""
    words = info.split()
    is_line = len(words) >= 2 and words[0] == "line" and words[1].strip(",").isdigit()
    return int(words[1].strip(",")) if is_line else 0
