"""Environments. Importing this package registers them with Gymnasium."""

from roboyard.envs.base import BaseRobotEnv
from roboyard.envs.factory import list_env_ids, make_env
from roboyard.envs.registration import register_envs
from roboyard.envs.simple import SimpleRobotEnv

__all__ = ["BaseRobotEnv", "SimpleRobotEnv", "list_env_ids", "make_env", "register_envs"]

register_envs()
