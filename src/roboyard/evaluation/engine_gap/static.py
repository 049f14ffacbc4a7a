"""What can be compared without a step: the robot, and what the policy sees and does."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from pydantic import JsonValue

from roboyard.envs.task_env import TaskEnv
from roboyard.sim.rows import BASE

_TOLERANCE = 1e-3
_LIGHT = 1e-5
"""A mass or inertia below it counts as none."""


class StaticDifference(NamedTuple):
    """One thing in which engines differ."""

    kind: str
    """Such as ``mass``; what may be allowed."""
    where: str
    """The link, joint or part of the contract."""
    values: tuple[JsonValue, ...]
    """What each engine has, in their order."""


Facts = dict[tuple[str, str], JsonValue]
"""(kind, where) to value."""


def static_facts(env: TaskEnv) -> Facts:
    """Return what a task's robot and contract are in its engine."""
    robot, world = env.robot, env.world
    facts: Facts = {
        ("joint order", "robot"): list(robot.joint_names),
        ("action", "names"): list(env.action_names),
        ("action", "space"): str(env.action_space),
        ("observation", "space"): str(env.observation_space),
        ("observation", "names"): _listed(env.observation_names),
        ("timing", "control period"): env.control_period,
        ("timing", "time step"): world.config.time_step,
    }
    total = 0.0
    for link in range(BASE, len(robot.link_names)):
        name, found = robot.link_name(link), world.link_properties(robot.body, link)
        total += found.mass
        if found.mass < _LIGHT:
            continue  # A mere frame, of which engines make more or fewer.
        facts["mass", name] = found.mass
        facts["inertia", name] = [*map(float, sorted(found.inertia))]
        facts["friction", name] = found.lateral_friction
    facts["mass", "whole robot"] = total
    for joint in robot.joints:
        is_limited = joint.lower < joint.upper
        facts["limits", joint.name] = [joint.lower, joint.upper] if is_limited else []
        facts["effort", joint.name] = joint.max_force
        facts["velocity", joint.name] = joint.max_velocity
    return facts


def _listed(names: object) -> JsonValue:
    if isinstance(names, dict):
        return {str(key): list(value) for key, value in names.items()}
    return [str(name) for name in names] if isinstance(names, tuple) else str(names)


def differences(tables: list[Facts]) -> list[StaticDifference]:
    """Return in what the engines' facts differ, in the order of the first engine's."""
    keys = dict.fromkeys(key for table in tables for key in table)
    found = []
    for key in keys:
        values = tuple(table.get(key) for table in tables)
        if not all(_same(values[0], value) for value in values[1:]):
            found.append(StaticDifference(*key, values))
    return found


def _same(one: JsonValue, other: JsonValue) -> bool:
    if isinstance(one, float) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=_LIGHT)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        if all(isinstance(value, float) for value in (*one, *other)):
            return bool(np.allclose(np.array(one, float), np.array(other, float), rtol=_TOLERANCE,
                                    atol=_LIGHT))  # fmt: skip
        return all(map(_same, one, other))
    return one == other
