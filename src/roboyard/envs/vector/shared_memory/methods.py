"""What can be asked of one environment besides steps and resets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import gymnasium

from roboyard.envs.timing import work_time

AnyEnv = gymnasium.Env[Any, Any]


def class_name(cls: type) -> str:
    """Return the name by which a class is recognised in another process."""
    return f"{cls.__module__}:{cls.__qualname__}"


def _get(env: AnyEnv, name: str) -> object:
    return env.get_wrapper_attr(name)


def _has(env: AnyEnv, name: str) -> bool:
    try:
        env.get_wrapper_attr(name)
    except AttributeError:
        return False
    return True


def _set(env: AnyEnv, name: str, value: object) -> None:
    setattr(env, name, value)


def _method(env: AnyEnv, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> object:
    return env.get_wrapper_attr(name)(*args, **kwargs)


def _layers(env: AnyEnv) -> Iterator[AnyEnv]:
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env


def _is_wrapped(env: AnyEnv, wrapper: str) -> bool:
    # Compared by name: unpickling SB3's Monitor would import torch into the worker.
    return any(
        class_name(ancestor) == wrapper
        for layer in _layers(env)
        for ancestor in type(layer).__mro__
    )


def _work_time(env: AnyEnv) -> object:
    return tuple(work_time(env))


CALLS: Final[dict[str, Callable[..., Any]]] = {
    "get_attr()": _get,
    "has_attr()": _has,
    "set_attr()": _set,
    "env_method()": _method,
    "env_is_wrapped()": _is_wrapped,
    "work_time()": _work_time,
}
"""Names, as they appear in error messages, to functions of an environment and arguments."""
