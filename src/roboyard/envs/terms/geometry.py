"""Geometry that several terms share."""

from __future__ import annotations

import math

from roboyard.robots import RobotState
from roboyard.robots.robot import BASE
from roboyard.sim.settings import Vector


def centroid(state: RobotState, floor_counts: bool = False) -> tuple[float, float]:
    """Return the mean x and y of the robot's links [m].

    The base is one of them if it is the robot's base link. With ``floor_counts`` so is the floor,
    at the origin, as in pybullet_envs_gymnasium.
    """
    x, y, _ = state.link_sum
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
