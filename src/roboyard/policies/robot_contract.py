"""What a controller must know about the robot that a policy was trained on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from pydantic import JsonValue

if TYPE_CHECKING:
    from roboyard.robots.actuators import Actuator
    from roboyard.robots.robot import Robot


def describe_robot(robot: Robot) -> dict[str, JsonValue]:
    """Return a robot's joints and how actions become commands, as JSON values.

    Positions are in [rad] or [m], efforts in [N m] or [N]. An action's entry ``a`` becomes the
    command ``offset + scale * a`` in its actuator's unit; the actuators, and the ``entries`` of
    each, stand in the order of the action. One entry may command several joints (a gripper's
    fingers), and three the displacement of a link (``cartesian``). None stands for no limit.
    """
    limited = robot.lower <= robot.upper
    return {
        "name": robot.name,
        "joints": list(robot.joint_names),
        "default_positions": _numbers(robot.initial_positions),
        "lower_limits": _numbers(np.where(limited, robot.lower, -np.inf)),
        "upper_limits": _numbers(np.where(limited, robot.upper, np.inf)),
        "actuators": [_describe_actuator(actuator) for actuator in robot.actuators],
    }


def _describe_actuator(actuator: Actuator) -> JsonValue:
    config = actuator.config
    value: dict[str, JsonValue] = {
        "control": str(config.control),
        "unit": actuator.unit,
        "entries": list(actuator.entries),
        "joints": list(actuator.names),
        "scale": _numbers(actuator.scale),
        "offset": _numbers(actuator.offset),
        "effort_limit": _numbers(actuator.effort_limit),
    }
    for name in ("stiffness", "damping", "velocity_limit"):
        given = getattr(actuator, name, None)
        if given is not None:
            value[name] = _numbers(given)
    if config.link is not None:
        value |= config.model_dump(mode="json", include={"link", "workspace", "rotation"})
    if config.control == "thrust":
        value |= config.model_dump(mode="json", include=_THRUST)
    return value


_THRUST = {"links", "axis", "points", "thrust_coefficient", "moment_ratio"}


def _numbers(values: np.ndarray) -> list[JsonValue]:
    return [float(v) if math.isfinite(v) else None for v in np.asarray(values).tolist()]
