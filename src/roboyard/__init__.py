"""Roboyard: from a robot description and one YAML file to a deployable control policy.

Names are imported when first used, so that ``import roboyard`` costs milliseconds::

    import roboyard

    result = roboyard.train("configs/cartpole.yaml", overrides=["seed=1"])
    policy = roboyard.load_policy(result.run_dir)
    actions, _ = policy.predict(observations)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from roboyard import _moved

if TYPE_CHECKING:
    from roboyard.api import evaluate, train
    from roboyard.config.load import load as load_config
    from roboyard.config.schema import ExperimentConfig
    from roboyard.envs.base import BaseRobotEnv
    from roboyard.envs.simple import SimpleRobotEnv
    from roboyard.errors import RoboyardError
    from roboyard.evaluation.evaluator import Evaluator
    from roboyard.policies.bundle.policy_bundle import PolicyBundle
    from roboyard.policies.loading import load_policy
    from roboyard.training.trainer import Trainer, TrainResult

__version__ = "0.1.0"

_moved.install()

_HOMES = {
    "BaseRobotEnv": "roboyard.envs.base",
    "Evaluator": "roboyard.evaluation.evaluator",
    "ExperimentConfig": "roboyard.config.schema",
    "PolicyBundle": "roboyard.policies.bundle.policy_bundle",
    "RoboyardError": "roboyard.errors",
    "SimpleRobotEnv": "roboyard.envs.simple",
    "TrainResult": "roboyard.training.trainer",
    "Trainer": "roboyard.training.trainer",
    "evaluate": "roboyard.api",
    "load_config": "roboyard.config.load:load",
    "load_policy": "roboyard.policies.loading",
    "train": "roboyard.api",
}

__all__ = [
    "BaseRobotEnv",
    "Evaluator",
    "ExperimentConfig",
    "PolicyBundle",
    "RoboyardError",
    "SimpleRobotEnv",
    "TrainResult",
    "Trainer",
    "evaluate",
    "load_config",
    "load_policy",
    "train",
]


def __getattr__(name: str) -> object:
    """Import a public name from its home on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'roboyard' has no attribute '{name}'")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute or name)


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return [*__all__, "__version__"]
