"""Geometry that several terms share."""

from __future__ import annotations

import math

from roboyard.robots import RobotState
from roboyard.robots.robot import BASE
from roboyard.sim.rows import CENTER, VELOCITY
from roboyard.sim.settings import Quaternion, Vector


def centroid(state: RobotState, floor_counts: bool = False) -> tuple[float, float]:
    """Return the mean x and y of the robot's links [m].

    The base is one of them if it is the robot's base link. With ``floor_counts`` so is the floor,
    at the origin, as in pybullet_envs_gymnasium.
    """
    x, y = state.link_sum
    count = len(state.link_rows) + floor_counts
    if state.robot.base_link == BASE:
        x += state.base_position[0]
        y += state.base_position[1]
        count += 1
    return x / count, y / count


def rotated_by_yaw(vector: Vector, yaw: float) -> Vector:
    """Return ``vector`` as seen from a frame that is turned by ``yaw`` [rad] about z."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    x, y, z = vector
    return cos * x + sin * y, cos * y - sin * x, z


def seen_from(vector: Vector, orientation: Quaternion) -> Vector:
    """Return a vector of the world's frame as seen from a frame of this ``orientation``.

    It is the rotation by the inverse quaternion, in the form of two cross products.
    """
    x, y, z = vector
    qx, qy, qz, w = orientation
    tx, ty, tz = 2.0 * (z * qy - y * qz), 2.0 * (x * qz - z * qx), 2.0 * (y * qx - x * qy)
    return (
        x - w * tx + tz * qy - ty * qz,
        y - w * ty + tx * qz - tz * qx,
        z - w * tz + ty * qx - tx * qy,
    )


def gravity_direction(state: RobotState) -> Vector:
    """Return the direction of gravity in the base link's frame; (0, 0, -1) where it is level."""
    return seen_from((0.0, 0.0, -1.0), state.base_orientation)


def wrapped(angle: float) -> float:
    """Return the same angle between -pi and pi [rad]."""
    return math.remainder(angle, math.tau)


def link_position(state: RobotState, link: int) -> Vector:
    """Return the centre of mass of a link [m]; -1 is the base."""
    return state.base_position if link == BASE else state.link_rows[link][CENTER]


def link_velocity(state: RobotState, link: int) -> Vector:
    """Return the velocity of a link's centre of mass [m/s]; -1 is the base."""
    return state.base_velocity if link == BASE else state.link_rows[link][VELOCITY]
