"""Whether an agent record fits an environment's spaces: asked before anything is trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm

from roboyard.agents.algorithms import (
    accepting,
    algorithm_class,
    constructor_parameters,
    family,
    is_off_policy,
)
from roboyard.agents.hyperparameters import hyperparameter_values
from roboyard.agents.networks import PolicyPlan, plan_policy
from roboyard.agents.spaces import AnySpace, network_space
from roboyard.config.agents import AgentBase, CustomAgent, OffPolicyAgentBase
from roboyard.config.algorithm_specs import AlgorithmSpec, specs
from roboyard.config.checks import conflicts
from roboyard.config.networks import NetworkConfig
from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError

_POLICY_ARGUMENTS: dict[str, tuple[str, Callable[[AlgorithmSpec], bool]]] = {
    "extractor": ("features_extractor_class", lambda spec: spec.kind != "search"),
    "critic": ("features_extractor_class", lambda spec: spec.critic is not None),
    "layer_norm": (
        "features_extractor_class",
        lambda spec: spec.kind != "search" and not spec.batch_normalised,
    ),
    "init": ("features_extractor_class", lambda spec: spec.kind != "search"),
    "weight_decay": ("optimizer_kwargs", lambda spec: spec.kind != "search"),
    "lstm_size": ("lstm_hidden_size", lambda spec: spec.lstm_size is not None),
    "num_critics": ("n_critics", lambda spec: spec.num_critics),
    "log_std_init": ("log_std_init", lambda spec: spec.log_std != "never"),
}
"""Network setting -> argument a policy class must have for it, and which algorithms use it."""

_VECTORS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
_GOAL_KEYS = ("observation", "achieved_goal", "desired_goal")


def check_fits(config: AgentBase, observation_space: AnySpace, action_space: AnySpace) -> None:
    """Refuse an agent that cannot work with an environment.

    Args:
        config: The agent record.
        observation_space: Of one environment, as the agent will see it.
        action_space: Of one environment.

    Raises:
        ConfigError: Something does not fit; the message says what does.
    """
    checked_plan(config, observation_space, action_space)


def check_family(config: ExperimentConfig) -> None:
    """Refuse settings that do not go together, of an algorithm known only by its class.

    A config checks itself, but imports nothing, so it does not know what a ``module:Class``
    derives from.

    Raises:
        ConfigError: Some do not; the message names all of them.
    """
    if isinstance(config.agent, CustomAgent):
        found = conflicts(config, family(algorithm_class(config.agent)))
        if found:
            raise ConfigError("; ".join(f"{path}: {text}" for path, text in found))


def checked_plan(
    config: AgentBase, observation_space: AnySpace, action_space: AnySpace
) -> PolicyPlan:
    """Return the policy class and its arguments after all checks.

    Raises:
        ConfigError: Something does not fit.
    """
    cls = algorithm_class(config)
    values = hyperparameter_values(config)
    _check_action_space(config, cls, action_space)
    _check_observation_space(config, cls, observation_space)
    plan = plan_policy(cls, config.network, values, network_space(observation_space))
    _check_settings(config, cls, plan)
    _check_exploration(config, cls, values, action_space)
    _check_buffer(config, cls, values, observation_space)
    return plan


def _check_action_space(
    config: AgentBase, cls: type[BaseAlgorithm], action_space: AnySpace
) -> None:
    name, kind = config.algorithm, type(action_space).__name__
    spec = family(cls)
    if spec is not None and kind not in spec.action_spaces:
        others = accepting(kind)
        remedy = f"Algorithms that accept it: {', '.join(others)}" if others else "None accepts it"
        raise ConfigError(
            f"agent.algorithm {name} cannot act in the environment's action space "
            f"{action_space}: it accepts {', '.join(spec.action_spaces)}. {remedy}."
        )
    if isinstance(action_space, spaces.Box) and not (
        np.isfinite(action_space.low).all() and np.isfinite(action_space.high).all()
    ):
        raise ConfigError(
            f"agent.algorithm {name} needs a bounded action space, but the environment's is "
            f"{action_space}. Give its Box finite low and high, or wrap it in "
            "gymnasium.wrappers.RescaleAction."
        )


def _check_observation_space(
    config: AgentBase, cls: type[BaseAlgorithm], observation_space: AnySpace
) -> None:
    name = config.algorithm
    if isinstance(observation_space, spaces.Dict):
        spec = family(cls)
        if spec is not None and not spec.reads_dicts:
            able = ", ".join(each.name for each in specs() if each.reads_dicts)
            raise ConfigError(
                f"agent.algorithm {name} cannot read Dict observations. Algorithms that can: "
                f"{able}. Or flatten them with gymnasium.wrappers.FlattenObservation."
            )
        parts = dict(observation_space.spaces)
    else:
        parts = {"": observation_space}
    for key, space in parts.items():
        if not isinstance(space, _VECTORS):
            where = f" under key '{key}'" if key else ""
            raise ConfigError(
                f"agent.algorithm {name} cannot read the observation space {space}{where}. "
                "Allowed: Box, Discrete, MultiDiscrete, MultiBinary, or a flat Dict of these. "
                "gymnasium.wrappers.FlattenObservation flattens others."
            )


def _given_settings(network: NetworkConfig) -> list[str]:
    default = NetworkConfig()
    return [name for name in _POLICY_ARGUMENTS if getattr(network, name) != getattr(default, name)]


def _check_settings(config: AgentBase, cls: type[BaseAlgorithm], plan: PolicyPlan) -> None:
    name = config.algorithm
    known, spec = constructor_parameters(plan.policy_class), family(cls)
    for setting in _given_settings(config.network):
        argument, has_effect = _POLICY_ARGUMENTS[setting]
        if argument not in known or (spec is not None and not has_effect(spec)):
            users = [_described(each, setting) for each in specs() if has_effect(each)]
            raise ConfigError(
                f"agent.network.{setting} has no effect in {name}. It works with "
                f"{', '.join(users)}; remove it or change agent.algorithm."
            )
    if config.network.activation != "auto" and "activation_fn" not in known:
        raise ConfigError(
            f"agent.network.activation has no effect in {name} without hidden layers. "
            "Give agent.network.actor, such as [64, 64], or remove it."
        )


def _described(spec: AlgorithmSpec, setting: str) -> str:
    with_sde = setting == "log_std_init" and spec.log_std == "with gSDE"
    return f"{spec.name} (with gSDE)" if with_sde else spec.name


def _check_exploration(
    config: AgentBase,
    cls: type[BaseAlgorithm],
    values: dict[str, object],
    action_space: AnySpace,
) -> None:
    name, kind = config.algorithm, type(action_space).__name__
    continuous = isinstance(action_space, spaces.Box)
    if values.get("use_sde") and not continuous:
        raise ConfigError(
            f"agent.hyperparameters.use_sde: {name} explores with gSDE only in Box action spaces, "
            f"but the environment's is {kind}. Remove it."
        )
    if config.network.log_std_init is not None:
        without_sde = is_off_policy(cls) and not values.get("use_sde")
        reason = "without agent.hyperparameters.use_sde" if continuous else f"with {kind} actions"
        if not continuous or without_sde:
            raise ConfigError(
                f"agent.network.log_std_init has no effect in {name} {reason}; remove it."
            )
    noise = config.action_noise if isinstance(config, OffPolicyAgentBase) else None
    if noise is not None and not (is_off_policy(cls) and continuous):
        raise ConfigError(
            "agent.action_noise works with off-policy algorithms and Box actions, but here is "
            f"{name} with {kind} actions. Remove it."
        )


def _check_buffer(
    config: AgentBase,
    cls: type[BaseAlgorithm],
    values: dict[str, object],
    observation_space: AnySpace,
) -> None:
    parts = observation_space.spaces if isinstance(observation_space, spaces.Dict) else {}
    if isinstance(config, OffPolicyAgentBase) and config.her is not None:
        missing = [key for key in _GOAL_KEYS if key not in parts]
        if missing or not is_off_policy(cls):
            raise ConfigError(
                "agent.her needs an off-policy algorithm and an environment with goals, whose "
                f"observation is a Dict with {', '.join(_GOAL_KEYS)}; missing here: "
                f"{', '.join(missing) or 'an off-policy algorithm'}. "
                "Remove agent.her or use such an environment."
            )
    long_steps = is_off_policy(cls) and values.get("n_steps", 1) != 1
    for setting, given in (
        ("n_steps above 1", long_steps),
        ("optimize_memory_usage", values.get("optimize_memory_usage")),
    ):
        if parts and given:
            raise ConfigError(
                f"agent.hyperparameters: {setting} does not work with Dict observations; "
                "set it back to its default."
            )
    if long_steps and values.get("optimize_memory_usage"):
        raise ConfigError(
            "agent.hyperparameters: optimize_memory_usage does not work with n_steps above 1; "
            "set one of them back to its default."
        )
