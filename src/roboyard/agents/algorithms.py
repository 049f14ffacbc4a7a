"""What Roboyard knows about algorithms: their classes, families and abilities."""

from __future__ import annotations

import inspect

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from roboyard.config.agents import AgentBase
from roboyard.config.algorithm_specs import ALGORITHMS, AlgorithmSpec, specs
from roboyard.errors import ConfigError
from roboyard.registry import resolve_entry


def algorithm_class(config: AgentBase) -> type[BaseAlgorithm]:
    """Return the algorithm's class.

    Raises:
        ConfigError: The entry cannot be imported or is no stable_baselines3 algorithm.
    """
    name = config.algorithm
    found: object = ALGORITHMS.resolve(name)
    if isinstance(found, AlgorithmSpec):
        found = resolve_entry(found.torch, "algorithm")
    if not (isinstance(found, type) and issubclass(found, BaseAlgorithm)):
        raise ConfigError(
            f"algorithm '{name}' is {found!r}, which is not a class derived from "
            "stable_baselines3's BaseAlgorithm."
        )
    return found


def family(cls: type[BaseAlgorithm]) -> AlgorithmSpec | None:
    """Return the record of the algorithm that ``cls`` is or derives from, if there is one."""
    known = {entry: spec for spec in specs() for entry in (spec.base, spec.torch)}
    for base in cls.__mro__:
        package, name = base.__module__.partition(".")[0], base.__name__
        spec = known.get(f"{base.__module__}:{name}") or known.get(f"{package}:{name}")
        if spec is not None:
            return spec
    return None


def is_on_policy(cls: type[BaseAlgorithm]) -> bool:
    """Return whether the algorithm learns from its newest rollout only."""
    return issubclass(cls, OnPolicyAlgorithm)


def is_off_policy(cls: type[BaseAlgorithm]) -> bool:
    """Return whether the algorithm has a replay buffer."""
    return issubclass(cls, OffPolicyAlgorithm)


def accepting(action_space: str) -> tuple[str, ...]:
    """Return the built-in algorithms that accept an action space, by its class name."""
    return tuple(spec.name for spec in specs() if action_space in spec.action_spaces)


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
