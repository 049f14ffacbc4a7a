"""Policy bundles of an algorithm in training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue
from stable_baselines3.common.base_class import BaseAlgorithm

from roboyard.config.schema import EnvConfig, ExperimentConfig
from roboyard.envs.factory import make_env
from roboyard.policies.bundle import PolicyBundle
from roboyard.policies.contract import PolicyContract, describe_env
from roboyard.policies.normalizer import ObservationNormalizer
from roboyard.storage.run_directory import now
from roboyard.training.provenance import library_versions
from roboyard.training.seeding import preserved_generators
from roboyard.training.vec_stack import base_envs


def describe_envs(config: EnvConfig) -> PolicyContract:
    """Return what the environment tells about its entries, from a copy that is made for it."""
    with preserved_generators():
        env = make_env(config)
        try:
            return describe_env(env.unwrapped)
        finally:
            env.close()


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
        facts: What else to say about the policy, such as its mean return.

    Raises:
        StorageError: It cannot be written; the old file stays.
    """
    assert algorithm.env is not None
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
            "step": algorithm.num_timesteps,
            "written": now(),
            "versions": dict(library_versions()),
            **(facts or {}),
        },
        contract=contract,
    )
