"""Policy bundles of an algorithm in training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gymnasium import spaces
from pydantic import JsonValue
from stable_baselines3.common.base_class import BaseAlgorithm

from roboyard.agents.backends import refresh_policy
from roboyard.agents.spaces import AnySpace
from roboyard.config.schema import EnvConfig, ExperimentConfig
from roboyard.envs.factory import make_env
from roboyard.envs.memory import AnyEnv
from roboyard.envs.task_env import TaskEnv
from roboyard.evaluation.result import EvaluationResult
from roboyard.policies.bundle.manifest import add_to_bundle
from roboyard.policies.bundle.policy_bundle import PolicyBundle
from roboyard.policies.contract import PolicyContract, describe_env
from roboyard.policies.runtime.normalizer import ObservationNormalizer
from roboyard.runs.directory import now
from roboyard.runs.provenance import git_revision, library_versions
from roboyard.training.envs.stack import base_envs
from roboyard.training.seeding import preserved_generators


def describe_envs(config: EnvConfig) -> PolicyContract:
    """Return what the environment tells about its entries, from a copy that is made for it.

    Raises:
        ConfigError: The environment cannot be created.
        RoboyardError: An event of its task cannot happen.
    """
    with preserved_generators():
        env = make_env(config)
        try:
            if isinstance(env.unwrapped, TaskEnv):
                env.unwrapped.try_events()  # now, rather than when a late one is due
            contract = describe_env(env.unwrapped)
            return contract.model_copy(update=_lost_in_wrappers(env))
        finally:
            env.close()


def _lost_in_wrappers(env: AnyEnv) -> dict[str, object]:
    """Return empty names for what wrappers change, such as stacked observations."""
    bare = env.unwrapped
    lost: dict[str, object] = {}
    if _size(env.observation_space) != _size(bare.observation_space):
        lost["observations"] = {}
    if _size(env.action_space) != _size(bare.action_space):
        lost["actions"] = ()
    return lost


def _size(space: AnySpace) -> object:
    if isinstance(space, spaces.Dict):
        return {key: _size(part) for key, part in space.spaces.items()}
    return space.shape


def write_bundle(
    path: Path,
    algorithm: BaseAlgorithm,
    config: ExperimentConfig,
    contract: PolicyContract,
    facts: Mapping[str, JsonValue] | None = None,
) -> Path:
    """Write the algorithm's policy, with its normaliser, as one file.

    Args:
        path: The file; it is replaced in one step.
        algorithm: Whose policy it is.
        config: The run's config.
        contract: Names, units and control period.
        facts: What else to say about the policy, such as its evaluation.

    Raises:
        StorageError: It cannot be written; the old file stays.
    """
    assert algorithm.env is not None
    refresh_policy(algorithm)
    venv = base_envs(algorithm.env)
    normalizer = None
    normalize = algorithm.get_vec_normalize_env()
    if normalize is not None and normalize.norm_obs:
        normalizer = ObservationNormalizer.from_vec_normalize(normalize)
    return PolicyBundle.write(
        path,
        policy=algorithm.policy,
        config=config,
        normalizer=normalizer,
        observation_space=venv.observation_space,
        action_space=venv.action_space,
        provenance={
            "seed": config.seed,
            "step": algorithm.num_timesteps,
            "written": now(),
            "git_revision": git_revision(),
            "versions": dict(library_versions()),
            **(facts or {}),
        },
        contract=contract,
    )


def evaluation_facts(result: EvaluationResult, seed: int) -> dict[str, JsonValue]:
    """Return what a bundle tells about an evaluation of its policy.

    Args:
        result: The evaluation.
        seed: Seed of its episodes.
    """
    return {
        "episodes": len(result.returns),
        "seed": seed,
        "mean_return": result.mean,
        "std_return": result.std,
        "mean_length": result.mean_length,
        "success_rate": result.success_rate,
    }


def add_final_evaluation(path: Path, result: EvaluationResult, seed: int) -> None:
    """Tell in a bundle how its policy did at the end, in episodes that did not choose it.

    Raises:
        StorageError: It cannot be written; the old file stays.
    """
    facts = {"final_evaluation": evaluation_facts(result, seed)}
    add_to_bundle(path, path, provenance={**PolicyBundle.read(path).provenance, **facts})
