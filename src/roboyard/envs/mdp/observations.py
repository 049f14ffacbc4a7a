"""Observation terms."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from roboyard.envs.managers.registry import Term, TermSetup, observation
from roboyard.envs.managers.selections import ALL, FEET, Joint, Joints, Link, Links, Object
from roboyard.envs.mdp.geometry import centroid, rotated_by_yaw
from roboyard.robots import RobotState
from roboyard.robots.reading import BASE_POSE, GROUND_CONTACTS, JOINTS, LINKS, OBJECTS
from roboyard.sim.rows import CENTER
from roboyard.sim.settings import Vector

Floats = NDArray[np.float64]
Axes = Annotated[str, Field(pattern="^[xyz]+$")]
"""Letters of axes, such as ``"xy"``."""


@observation(JOINTS, unit="rad")
def joint_positions(state: RobotState, joints: Joints = ALL) -> Floats:
    """Return joint positions [rad] or [m], shape (joints,)."""
    return state.joint_positions[joints]


@observation(JOINTS, unit="rad/s")
def joint_velocities(state: RobotState, joints: Joints = ALL) -> Floats:
    """Return joint velocities [rad/s] or [m/s], shape (joints,)."""
    return state.joint_velocities[joints]


@observation(JOINTS)
def joint_fractions(state: RobotState, joints: Joints = ALL) -> Floats:
    """Return joint positions, -1 at the lower and 1 at the upper limit, shape (joints,)."""
    return state.joint_fractions[joints]


@observation(JOINTS, name="joint_fractions_and_velocities")
class JointFractionsAndVelocities(Term):
    """Each joint's fraction of its range and its scaled velocity, shape (2 * joints,).

    The order is position 0, velocity 0, position 1, ... as in pybullet_envs_gymnasium.
    """

    def __init__(self, setup: TermSetup, joints: Joints = ALL, velocity_scale: float = 0.1) -> None:
        """Prepare the array; ``velocity_scale`` is a factor on velocities."""
        self._joints = joints
        size = len(setup.robot.initial_positions[joints])
        self._is_all = size == len(setup.robot.joints)
        self._values: Floats = np.zeros(2 * size)
        self._fractions = self._values[0::2]
        self._velocities = self._values[1::2]
        self._scale = np.array(velocity_scale)  # numpy converts scalars at every call

    def __call__(self, state: RobotState) -> Floats:
        """Return the interleaved values."""
        fractions, velocities = state.joint_fractions, state.joint_velocities
        if not self._is_all:
            fractions, velocities = fractions[self._joints], velocities[self._joints]
        self._fractions[:] = fractions
        np.multiply(velocities, self._scale, self._velocities)
        return self._values


@observation(JOINTS, labels=("cos", "sin"))
def joint_direction(
    state: RobotState, joint: Joint, factor: float = 1.0, offset: float = 0.0
) -> tuple[float, float]:
    """Return cosine and sine of ``offset + factor * angle`` of a joint [rad]."""
    angle = offset + factor * float(state.joint_positions[joint])
    return math.cos(angle), math.sin(angle)


@observation(BASE_POSE, unit="m")
def base_height(state: RobotState, reference: float = 0.0) -> float:
    """Return the base link's height above ``reference`` [m]."""
    return state.base_position[2] - reference


@observation(BASE_POSE, unit="m")
def base_height_change(state: RobotState) -> float:
    """Return the base link's height above that at the reset [m]."""
    return state.base_position[2] - state.initial_base_position[2]


@observation(BASE_POSE, unit="rad", labels=("roll", "pitch"))
def base_roll_pitch(state: RobotState) -> tuple[float, float]:
    """Return roll and pitch of the base link [rad]."""
    return state.base_euler[:2]


@observation(BASE_POSE, unit="m/s", labels=("x", "y", "z"))
def base_velocity_heading(state: RobotState, scale: float = 1.0) -> Vector:
    """Return the base link's velocity, turned about z into its heading, times ``scale`` [m/s]."""
    x, y, z = rotated_by_yaw(state.base_velocity, state.base_euler[2])
    return scale * x, scale * y, scale * z


@observation(BASE_POSE, LINKS, labels=("sin", "cos"))
def target_heading(
    state: RobotState, target: tuple[float, float], floor_counts: bool = False
) -> tuple[float, float]:
    """Return sine and cosine of the angle from the base link's heading to a point [m].

    The point is seen from the mean position of the links; see ``geometry.centroid``.
    """
    x, y = centroid(state, floor_counts)
    angle = math.atan2(target[1] - y, target[0] - x) - state.base_euler[2]
    return math.sin(angle), math.cos(angle)


@observation(GROUND_CONTACTS)
def ground_contacts(state: RobotState, links: Links = FEET, late: bool = False) -> list[float]:
    """Return 1 for each link that touches the ground, else 0; shape (links,).

    With ``late``, they are those of one control step earlier, as in pybullet_envs_gymnasium.
    """
    touching = state.previous_ground_contacts if late else state.ground_contacts
    return [1.0 if link in touching else 0.0 for link in links]


@observation(OBJECTS, unit="m", labels=("x", "y", "z"))
def object_position(state: RobotState, name: Object, axes: Axes = "xyz") -> list[float]:
    """Return the position of an object along some axes [m]."""
    position = state.objects[name]
    return [position["xyz".index(axis)] for axis in axes]


@observation(OBJECTS, LINKS, unit="m")
def link_from_object(
    state: RobotState, name: Object, link: Link, axes: Axes = "xyz"
) -> list[float]:
    """Return a link's position minus an object's, along some axes [m]."""
    there, here = state.objects[name], state.link_rows[link][CENTER]
    return [here["xyz".index(axis)] - there["xyz".index(axis)] for axis in axes]
