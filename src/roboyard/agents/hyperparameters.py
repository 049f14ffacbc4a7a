"""From hyperparameter records to the arguments of an algorithm's constructor."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm

from roboyard.agents.algorithms import algorithm_class, constructor_parameters
from roboyard.agents.schedules import to_callable
from roboyard.config.agents import AgentBase, CustomAgent, OffPolicyAgentBase
from roboyard.config.base import Record
from roboyard.config.schedules import ScheduleBase, Scheduled
from roboyard.errors import ConfigError
from roboyard.registry import suggest

SET_BY_ROBOYARD = frozenset(
    [
        "policy",
        "env",
        "policy_kwargs",
        "action_noise",
        "replay_buffer_class",
        "replay_buffer_kwargs",
        "rollout_buffer_class",
        "rollout_buffer_kwargs",
        "stats_window_size",
        "tensorboard_log",
        "verbose",
        "seed",
        "device",
        "_init_setup_model",
    ]
)
"""Constructor arguments that come from elsewhere in the config."""

_SCHEDULE: TypeAdapter[Scheduled] = TypeAdapter(Scheduled)


def _custom_value(name: str, value: object) -> object:
    """Return a custom agent's value; a mapping with a ``type`` is a schedule."""
    if not (isinstance(value, Mapping) and "type" in value):
        return value
    try:
        return _SCHEDULE.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"agent.hyperparameters.{name} is not a schedule: {first['msg']}."
        ) from error


def _custom_values(config: CustomAgent, cls: type[BaseAlgorithm]) -> dict[str, object]:
    parameters = constructor_parameters(cls)
    allowed = sorted(name for name in parameters if name not in SET_BY_ROBOYARD)
    for name in config.hyperparameters:
        if name not in allowed:
            raise ConfigError(
                f"agent.hyperparameters.{name}: '{cls.__name__}' has no hyperparameter '{name}'. "
                f"Allowed: {', '.join(allowed)}.{suggest(name, allowed)}"
            )
    for name in allowed:
        if parameters[name].default is parameters[name].empty and name not in (
            config.hyperparameters
        ):
            raise ConfigError(
                f"agent.hyperparameters.{name} is missing: '{cls.__name__}' has no default for it."
            )
    return {name: _custom_value(name, value) for name, value in config.hyperparameters.items()}


def hyperparameter_values(config: AgentBase) -> dict[str, object]:
    """Return the hyperparameters by name, schedules still as records.

    Raises:
        ConfigError: A custom agent names one that its class does not have.
    """
    if isinstance(config, CustomAgent):
        return _custom_values(config, algorithm_class(config))
    record = config.hyperparameters
    assert isinstance(record, Record)
    return {name: getattr(record, name) for name in type(record).model_fields}


def effective(config: AgentBase, name: str, otherwise: object) -> object:
    """Return a hyperparameter as the algorithm has it: the config's, or its class's default.

    Args:
        config: The agent record.
        name: Of the hyperparameter.
        otherwise: For an algorithm that does not have it.
    """
    given = config.hyperparameter(name)
    if given is not None or not isinstance(config, CustomAgent):
        return otherwise if given is None else given
    parameter = constructor_parameters(algorithm_class(config)).get(name)
    return otherwise if parameter is None else parameter.default


def constructor_values(config: AgentBase) -> dict[str, object]:
    """Return the hyperparameters as the algorithm's constructor wants them."""
    values = hyperparameter_values(config)
    for name, value in values.items():
        if isinstance(value, ScheduleBase):
            values[name] = to_callable(value)  # type: ignore[arg-type]
    return values


def replay_buffer_arguments(config: AgentBase) -> dict[str, object]:
    """Return the constructor arguments that choose the replay buffer."""
    if isinstance(config, OffPolicyAgentBase) and config.her is not None:
        return {
            "replay_buffer_class": HerReplayBuffer,
            "replay_buffer_kwargs": {
                "n_sampled_goal": config.her.goals_per_transition,
                "goal_selection_strategy": config.her.strategy,
            },
        }
    if hyperparameter_values(config).get("optimize_memory_usage"):
        # The buffer cannot know about time limits when it stores each observation once.
        return {"replay_buffer_kwargs": {"handle_timeout_termination": False}}
    return {}


def batch_warning(config: AgentBase, num_envs: int) -> str | None:
    """Return one line about a batch that does not divide the rollout, if it does not."""
    values = hyperparameter_values(config)
    batch, n_steps = values.get("batch_size"), values.get("n_steps")
    if isinstance(config, OffPolicyAgentBase) or not (
        isinstance(batch, int) and isinstance(n_steps, int)
    ):
        return None
    rollout = n_steps * num_envs
    if rollout % batch == 0:
        return None
    return (
        f"{config.algorithm}: batch_size {batch} does not divide the rollout of "
        f"n_steps x num_envs = {n_steps} x {num_envs} = {rollout}; "
        f"each pass ends with a batch of {rollout % batch}."
    )
