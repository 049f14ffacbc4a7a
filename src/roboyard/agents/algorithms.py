"""What Roboyard knows about algorithms: their classes, families and abilities."""

from __future__ import annotations

import inspect

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from roboyard.config.agents import BUILTIN_AGENTS, AgentBase
from roboyard.config.algorithms import ALGORITHMS
from roboyard.errors import ConfigError

ANY_ACTION = ("Box", "Discrete", "MultiDiscrete", "MultiBinary")
ACTION_SPACES: dict[str, tuple[str, ...]] = {
    "PPO": ANY_ACTION,
    "A2C": ANY_ACTION,
    "TRPO": ANY_ACTION,
    # sb3-contrib's recurrent buffer hands whole numbers to a loss that takes floats.
    "RecurrentPPO": ("Box", "Discrete", "MultiDiscrete"),
    "ARS": ("Box", "Discrete"),
    "SAC": ("Box",),
    "TD3": ("Box",),
    "TQC": ("Box",),
    "CrossQ": ("Box",),
}
"""Action spaces that each algorithm accepts, by class name of the space."""


def algorithm_name(config: AgentBase) -> str:
    """Return the name or entry that the agent record gives."""
    return str(getattr(config, "algorithm"))  # noqa: B009  (each record narrows it)


def algorithm_class(config: AgentBase) -> type[BaseAlgorithm]:
    """Return the algorithm's class.

    Raises:
        ConfigError: The entry cannot be imported or is no stable_baselines3 algorithm.
    """
    name = algorithm_name(config)
    found: object = ALGORITHMS.resolve(name)
    if not (isinstance(found, type) and issubclass(found, BaseAlgorithm)):
        raise ConfigError(
            f"algorithm '{name}' is {found!r}, which is not a class derived from "
            "stable_baselines3's BaseAlgorithm."
        )
    return found


def family(cls: type[BaseAlgorithm]) -> str | None:
    """Return the name of the built-in algorithm that ``cls`` is or derives from, if any."""
    for base in cls.__mro__:
        package = base.__module__.partition(".")[0]
        if base.__name__ in BUILTIN_AGENTS and package in ("stable_baselines3", "sb3_contrib"):
            return base.__name__
    return None


def is_on_policy(cls: type[BaseAlgorithm]) -> bool:
    """Return whether the algorithm learns from its newest rollout only."""
    return issubclass(cls, OnPolicyAlgorithm)


def is_off_policy(cls: type[BaseAlgorithm]) -> bool:
    """Return whether the algorithm has a replay buffer."""
    return issubclass(cls, OffPolicyAlgorithm)


def accepting(action_space: str) -> tuple[str, ...]:
    """Return the built-in algorithms that accept an action space, by its class name."""
    return tuple(name for name, accepted in ACTION_SPACES.items() if action_space in accepted)


def constructor_parameters(cls: type) -> dict[str, inspect.Parameter]:
    """Return the named parameters of a constructor.

    A constructor with ``**kwargs`` is taken to pass them on to its parent.
    """
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                found.setdefault(parameter.name, parameter)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found
