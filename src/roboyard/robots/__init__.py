"""Robots: a description and a spec, bound to a world, and the record of its state."""

from __future__ import annotations

from roboyard.robots.robot import Robot
from roboyard.robots.spec import list_robots, load_robot
from roboyard.robots.state import RobotState

__all__ = ["Robot", "RobotState", "list_robots", "load_robot"]
