"""The agent factory: from an agent record to an agent, or to its policy network alone.

Random numbers: an agent's initial weights depend on ``seed`` alone, not on what was drawn
before. Python's, NumPy's and torch's global generators are seeded here and left in the state
after building, because the algorithms go on to draw from them; the action space, from which
off-policy algorithms draw their first actions, gets a seed of its own. The environments are not
touched: they keep the seeds that ``make_vec_env`` gave them.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import ConstantSchedule, set_random_seed
from stable_baselines3.common.vec_env import VecEnv

from roboyard.agents.algorithms import algorithm_class, algorithm_name, constructor_parameters
from roboyard.agents.backends import learner_class, set_up_learner
from roboyard.agents.fit import checked_plan
from roboyard.agents.hyperparameters import (
    batch_warning,
    constructor_values,
    hyperparameter_values,
    replay_buffer_arguments,
)
from roboyard.agents.layers import customise
from roboyard.agents.networks import uses_sde, with_fused_adam
from roboyard.agents.noise import build_noise
from roboyard.agents.spaces import AnySpace, network_space
from roboyard.config.agents import AgentBase, OffPolicyAgentBase
from roboyard.errors import ConfigError
from roboyard.seeds import derive_seeds

_log = logging.getLogger(__name__)

Built = TypeVar("Built")

_REFUSALS = (AssertionError, NotImplementedError, TypeError, ValueError)
"""What stable_baselines3 raises for arguments that it does not take."""


def build_agent(config: AgentBase, env: VecEnv, *, seed: int, device: str = "cpu") -> BaseAlgorithm:
    """Build the agent that a record describes.

    Args:
        config: The agent record.
        env: The training environments, wrapped and normalised as wanted.
        seed: Seed of the initial weights and of everything the agent draws; see this module.
        device: Where the networks live, ``cpu`` or ``cuda``; with the jax backend, where the
            updates run.

    Returns:
        The agent, ready for ``learn``.

    Raises:
        ConfigError: The record does not fit the environment or the algorithm.
        MissingDependencyError: The backend is not installed.
    """
    plan = checked_plan(config, env.observation_space, env.action_space)
    cls = learner_class(config)  # before seeding: what it imports may draw random numbers
    arguments: dict[str, Any] = constructor_values(config) | replay_buffer_arguments(config)
    if isinstance(config, OffPolicyAgentBase) and config.action_noise is not None:
        assert isinstance(env.action_space, spaces.Box)  # checked_plan saw to it
        arguments["action_noise"] = build_noise(config.action_noise, env.action_space, env.num_envs)
    message = batch_warning(config, env.num_envs)
    if message is not None:
        _log.warning(message)
    policy_kwargs = dict(plan.arguments)
    if device == "cpu":
        policy_kwargs = with_fused_adam(algorithm_class(config), policy_kwargs)
    generator_seed, action_seed = derive_seeds(seed, "agent", 2)
    set_random_seed(generator_seed, using_cuda=device.startswith("cuda"))

    def construct() -> BaseAlgorithm:
        return cls(
            plan.policy_class,
            env,
            policy_kwargs=policy_kwargs,
            device=device if config.backend == "torch" else "cpu",
            seed=None,
            **arguments,
        )

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # orthogonal weights round differently with another number
    try:
        agent = _guarded(config, construct)
        customise(agent.policy, config.network)
    finally:
        torch.set_num_threads(threads)
    agent.action_space.seed(action_seed)
    set_up_learner(agent, torch.get_num_threads(), accelerator=device.startswith("cuda"))
    return agent


def build_policy(
    config: AgentBase,
    observation_space: AnySpace,
    action_space: AnySpace,
    device: str = "cpu",
) -> BasePolicy:
    """Build only the policy network of an agent.

    Its parameters have the names and shapes of ``build_agent(...).policy``, so that a state
    dictionary of one loads into the other. The weights themselves carry no meaning. No global
    generator is advanced, so this is safe in the middle of a run.

    Args:
        config: The agent record.
        observation_space: As the agent sees it; image channels may come first or last.
        action_space: Of one environment.
        device: Where the network lives.

    Raises:
        ConfigError: The record does not fit the spaces.
    """
    plan = checked_plan(config, observation_space, action_space)
    arguments: dict[str, Any] = dict(plan.arguments)
    if uses_sde(plan.policy_class, hyperparameter_values(config)):
        arguments["use_sde"] = True
    if "lr_schedule" in constructor_parameters(plan.policy_class):
        arguments["lr_schedule"] = ConstantSchedule(0.0)

    def construct() -> BasePolicy:
        return plan.policy_class(network_space(observation_space), action_space, **arguments)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        policy = _guarded(config, construct)
        customise(policy, config.network)
    policy.set_training_mode(False)
    return policy.to(device)


def _guarded(config: AgentBase, construct: Callable[[], Built]) -> Built:
    """Run a constructor; what it refuses becomes one line about the agent record."""
    try:
        with warnings.catch_warnings():
            # Said before, in one line.
            warnings.filterwarnings("ignore", "You have specified a mini-batch size")
            return construct()
    except _REFUSALS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(
            f"agent.algorithm {algorithm_name(config)} refuses its arguments: {reason}"
        ) from error
