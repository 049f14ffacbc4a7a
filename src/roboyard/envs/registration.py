"""Registration with Gymnasium, so that any of its users can ``gymnasium.make`` our environments."""

from __future__ import annotations

import gymnasium

from roboyard.envs.native import list_native_tasks
from roboyard.envs.tasks import list_tasks

NAMESPACE = "roboyard/"
"""What our ids begin with."""

SIMPLE_ROBOT = "roboyard/SimpleRobot-v0"
"""Id of the cart-pole."""

TASK = "roboyard/Task-v0"
"""Id of a task that the argument ``task`` describes; the library's have ids of their own."""

_TASK_ENV = "roboyard.envs.task_env:TaskEnv"

NATIVE_ENV = "roboyard.envs.native.env:NativeEnv"
"""Class of tasks on MuJoCo models as they stand; several step as one."""

ENTRY_POINTS = {TASK: _TASK_ENV, SIMPLE_ROBOT: "roboyard.envs.simple:SimpleRobotEnv"}
"""Gymnasium ids to classes; episode limits are the classes' own, so that snapshots hold them."""


def register_envs() -> None:
    """Register every environment; doing it twice does no harm."""
    for env_id, entry_point in ENTRY_POINTS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(id=env_id, entry_point=entry_point)
    for task in list_tasks():
        env_id = f"{NAMESPACE}{task}-v0"
        if env_id not in gymnasium.registry:
            gymnasium.register(id=env_id, entry_point=_TASK_ENV, kwargs={"task": task})
    for task in list_native_tasks():
        env_id = f"{NAMESPACE}{task}"
        if env_id not in gymnasium.registry:
            gymnasium.register(id=env_id, entry_point=NATIVE_ENV, kwargs={"task": task})
