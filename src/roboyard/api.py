"""The functions behind ``roboyard.train`` and ``roboyard.evaluate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from roboyard.config.load import load
from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError

if TYPE_CHECKING:
    from roboyard.evaluation.evaluator import EvaluationResult
    from roboyard.training.trainer import TrainResult


def train(
    config: str | Path | Mapping[str, object] | ExperimentConfig,
    overrides: Sequence[str] = (),
    *,
    run_id: str | None = None,
) -> TrainResult:
    """Train one run to its end.

    Args:
        config: A YAML file, a mapping of the same shape, or a loaded config.
        overrides: ``"a.b=c"`` texts, as after ``--set``; not with a loaded config.
        run_id: Name of the run directory; by default made from the time and the seed.

    Raises:
        ConfigError: The config, an override or the output folder is wrong.
        TrainingError: The run cannot go on.
    """
    from roboyard.training.trainer import Trainer

    return Trainer(_loaded(config, overrides), run_id=run_id).train()


def evaluate(
    policy: str | Path,
    config: str | Path | Mapping[str, object] | ExperimentConfig | None = None,
    *,
    episodes: int = 20,
    num_envs: int = 4,
    seed: int = 0,
    deterministic: bool = True,
    trust_code: bool = False,
) -> EvaluationResult:
    """Measure a policy over whole episodes with fixed seeds.

    Args:
        policy: A run or a bundle (a path, or an address such as ``s3://bucket/policy.zip``),
            ``"random"``, ``"zero"`` or ``"module:function"``.
        config: The environment to run it in; by default the one it was trained in.
        episodes: How many episodes.
        num_envs: How many run side by side; the result does not depend on it.
        seed: Seed of the episodes.
        deterministic: Take the most likely action instead of a sample.
        trust_code: Whether a bundle may bring code that its config names and files of a robot.

    Raises:
        ConfigError: The config is wrong, or is needed and missing.
        PolicyError: The policy does not exist or does not fit the environment.
    """
    from roboyard.evaluation.evaluate import evaluate_policy_spec

    return evaluate_policy_spec(
        policy,
        None if config is None else _loaded(config, ()).env,
        episodes=episodes,
        num_envs=num_envs,
        seed=seed,
        deterministic=deterministic,
        trust_code=trust_code,
    )


def _loaded(
    config: str | Path | Mapping[str, object] | ExperimentConfig, overrides: Sequence[str]
) -> ExperimentConfig:
    if not isinstance(config, ExperimentConfig):
        return load(config, overrides)
    if overrides:
        raise ConfigError(
            f"overrides {list(overrides)} do not go with a loaded config, whose values are "
            "settled. Give them to load_config, or give the file here."
        )
    return config
