"""Whether an agent record fits an environment's spaces: asked before anything is trained."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm

from roboyard.agents.algorithms import (
    ACTION_SPACES,
    accepting,
    algorithm_class,
    algorithm_name,
    constructor_parameters,
    family,
    is_off_policy,
)
from roboyard.agents.hyperparameters import hyperparameter_values
from roboyard.agents.networks import PolicyPlan, plan_policy
from roboyard.agents.spaces import AnySpace, network_space
from roboyard.config.agents import AgentBase, OffPolicyAgentBase
from roboyard.config.networks import NetworkConfig
from roboyard.errors import ConfigError

_POLICY_ARGUMENTS = {
    "extractor": ("features_extractor_class", "every algorithm but ARS"),
    "critic": ("features_extractor_class", "every algorithm but ARS"),
    "layer_norm": ("features_extractor_class", "every algorithm but ARS and CrossQ"),
    "init": ("features_extractor_class", "every algorithm but ARS"),
    "weight_decay": ("optimizer_kwargs", "every algorithm but ARS"),
    "lstm_size": ("lstm_hidden_size", "RecurrentPPO"),
    "num_critics": ("n_critics", "SAC, TD3, TQC, CrossQ"),
    "log_std_init": (
        "log_std_init",
        "PPO, A2C, TRPO, RecurrentPPO, and SAC, TQC, CrossQ with gSDE",
    ),
}
"""Network setting -> argument a policy class must have for it, and who can use it."""

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
    name, kind = algorithm_name(config), type(action_space).__name__
    accepted = ACTION_SPACES.get(family(cls) or "")
    if accepted is not None and kind not in accepted:
        others = accepting(kind)
        remedy = f"Algorithms that accept it: {', '.join(others)}" if others else "None accepts it"
        raise ConfigError(
            f"agent.algorithm {name} cannot act in the environment's action space "
            f"{action_space}: it accepts {', '.join(accepted)}. {remedy}."
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
    name = algorithm_name(config)
    if isinstance(observation_space, spaces.Dict):
        if family(cls) in ("ARS", "CrossQ"):
            raise ConfigError(
                f"agent.algorithm {name} cannot read Dict observations. Algorithms that can: PPO, "
                "A2C, TRPO, RecurrentPPO, SAC, TD3, TQC. Or flatten them with "
                "gymnasium.wrappers.FlattenObservation."
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
    name = algorithm_name(config)
    known = constructor_parameters(plan.policy_class)
    for setting in _given_settings(config.network):
        argument, users = _POLICY_ARGUMENTS[setting]
        batch_normalised = setting == "layer_norm" and family(cls) == "CrossQ"
        if argument not in known or batch_normalised:
            raise ConfigError(
                f"agent.network.{setting} has no effect in {name}. It works with {users}; "
                "remove it or change agent.algorithm."
            )
    if config.network.activation != "auto" and "activation_fn" not in known:
        raise ConfigError(
            f"agent.network.activation has no effect in {name} without hidden layers. "
            "Give agent.network.actor, such as [64, 64], or remove it."
        )


def _check_exploration(
    config: AgentBase,
    cls: type[BaseAlgorithm],
    values: dict[str, object],
    action_space: AnySpace,
) -> None:
    name, kind = algorithm_name(config), type(action_space).__name__
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
