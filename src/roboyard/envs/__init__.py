"""Environments. Importing this package registers them with Gymnasium.

Names are imported when first used: worker processes import this package, and start in half the
time and memory without pydantic and PyBullet where their environment needs neither.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from roboyard.envs.registration import register_envs

if TYPE_CHECKING:
    from roboyard.envs.base import BaseRobotEnv
    from roboyard.envs.factory import list_env_ids, make_env
    from roboyard.envs.simple import SimpleRobotEnv

_HOMES = {
    "BaseRobotEnv": "roboyard.envs.base",
    "SimpleRobotEnv": "roboyard.envs.simple",
    "list_env_ids": "roboyard.envs.factory",
    "make_env": "roboyard.envs.factory",
}

__all__ = ["BaseRobotEnv", "SimpleRobotEnv", "list_env_ids", "make_env", "register_envs"]


def __getattr__(name: str) -> object:
    """Import a public name from its home on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'roboyard.envs' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


register_envs()
