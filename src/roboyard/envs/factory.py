"""From a config to an environment: Gymnasium ids, our short names, and ``"module:Class"``."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator

from roboyard.config.schema import EnvConfig
from roboyard.envs.registration import NAMESPACE, register_envs
from roboyard.errors import ConfigError, RoboyardError
from roboyard.registry import resolve_entry, suggest

Creator = Callable[..., gymnasium.Env]
_CLASS_ENTRY = re.compile(r"[\w.]+:[A-Za-z_][\w.]*")


def list_env_ids(*, own: bool = False) -> tuple[str, ...]:
    """Return the ids that ``env.id`` may be, sorted; with ``own`` only those of this package."""
    register_envs()
    return tuple(sorted(i for i in gymnasium.registry if not own or i.startswith(NAMESPACE)))


def make_env(config: EnvConfig, *, render_mode: str | None = None) -> gymnasium.Env:
    """Create the environment that ``config`` names.

    Args:
        config: ``id`` is a Gymnasium id (``Pendulum-v1``, or ``module:id`` to import its module
            first), a name of ours without namespace and version (``SimpleRobot``), or
            ``module:Class``; ``kwargs`` go to its constructor.
        render_mode: As in Gymnasium.

    Returns:
        The environment. One of ours counts the steps of its episodes itself; others are wrapped
        into a ``TimeLimit`` where one is asked for.

    Raises:
        ConfigError: Unknown id or argument, or the constructor failed; the message says how.
    """
    register_envs()
    kwargs: dict[str, object]
    if _CLASS_ENTRY.fullmatch(config.id):
        spec = None
        creator = _callable_entry(config.id)
        kwargs = dict(config.kwargs)
    else:
        spec = find_spec(config.id)
        creator = _spec_creator(spec)
        kwargs = {**spec.kwargs, **config.kwargs}
        if config.task is not None:
            kwargs["task"] = config.task
    if render_mode is not None:
        _check_render_mode(config.id, creator, render_mode)
        kwargs["render_mode"] = render_mode
    _check_kwargs(config.id, creator, kwargs)
    if spec is not None and not getattr(creator, "counts_own_steps", False):
        env = _call(config.id, _gymnasium_maker(spec, config.max_episode_steps), kwargs)
        return _checked(config.id, env)
    env = _checked(config.id, _call(config.id, creator, kwargs))
    if spec is not None and env.spec is None:  # a wrapper's cannot be set
        env.spec = spec
    limit = config.max_episode_steps or (spec.max_episode_steps if spec else None)
    return env if limit is None else _with_limit(env, limit)


def find_entry(env_id: str) -> object:
    """Return what makes the environments of an id; the id itself if it is ``module:Class``."""
    return env_id if _CLASS_ENTRY.fullmatch(env_id) else find_spec(env_id).entry_point


def find_spec(env_id: str) -> EnvSpec:
    """Return Gymnasium's record of ``env_id``.

    Raises:
        ConfigError: There is none; the message names the nearest.
    """
    module, colon, name = env_id.rpartition(":")
    if colon:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ConfigError(
                f"environment '{env_id}': module '{module}' cannot be imported ({error})."
            ) from error
    for candidate in (name, *_own_ids(name)):
        if candidate in gymnasium.registry:
            return gymnasium.registry[candidate]
    known = list_env_ids()
    short = {known_id.removeprefix(NAMESPACE): known_id for known_id in known}
    hint = suggest(name, known) or suggest(name, short)
    raise ConfigError(
        f"unknown environment '{env_id}'.{hint} Allowed: any registered Gymnasium id, or "
        "'module:Class'. See: roboyard list environments"
    )


def _own_ids(name: str) -> list[str]:
    """Return our ids of that name, whatever version they have, newest first."""
    pattern = re.compile(re.escape(NAMESPACE + name.removeprefix(NAMESPACE)) + r"(-v(\d+))?")
    matches = [match for match in map(pattern.fullmatch, gymnasium.registry) if match]
    return [m[0] for m in sorted(matches, key=lambda m: int(m[2] or 0), reverse=True)]


def _callable_entry(entry: str) -> Creator:
    target = resolve_entry(entry, "environment")
    if not callable(target):
        raise ConfigError(f"environment '{entry}' is a {type(target).__name__}, not a class.")
    if inspect.isabstract(target):
        missing = ", ".join(sorted(getattr(target, "__abstractmethods__", ())))
        raise ConfigError(f"environment '{entry}' is abstract: it does not define {missing}.")
    return target


def _spec_creator(spec: EnvSpec) -> Creator:
    if spec.entry_point is None:
        raise ConfigError(f"environment '{spec.id}' has no single version, only a vectorised one.")
    try:
        entry = spec.entry_point
        return entry if callable(entry) else cast("Creator", load_env_creator(entry))
    except (ImportError, AttributeError, gymnasium.error.Error) as error:
        raise ConfigError(
            f"environment '{spec.id}' cannot be imported: {error} Install the package that "
            "provides it."
        ) from error


def _gymnasium_maker(spec: EnvSpec, max_episode_steps: int | None) -> Creator:
    bare = replace(spec, kwargs={}) if spec.kwargs else spec

    def make(**kwargs: object) -> gymnasium.Env:
        return gymnasium.make(
            bare,
            max_episode_steps=max_episode_steps,
            disable_env_checker=True,
            **kwargs,
        )

    return make


def _call(env_id: str, creator: Creator, kwargs: Mapping[str, object]) -> object:
    try:
        return creator(**kwargs)
    except RoboyardError:
        raise
    except Exception as error:
        raise ConfigError(
            f"environment '{env_id}' cannot be created with {dict(kwargs)}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _checked(env_id: str, env: object) -> gymnasium.Env:
    if not isinstance(env, gymnasium.Env):
        raise ConfigError(
            f"environment '{env_id}' is a {type(env).__name__}, not a gymnasium.Env. One written "
            "for the old 'gym' package has to be ported; see Gymnasium's migration guide."
        )
    for name in ("observation_space", "action_space"):
        space = getattr(env, name, None)
        if not isinstance(space, gymnasium.Space):
            raise ConfigError(
                f"environment '{env_id}': {name} is {space!r}, which is not a Gymnasium space."
            )
    return env


def _with_limit(env: gymnasium.Env, limit: int) -> gymnasium.Env:
    if getattr(env, "counts_own_steps", False):
        env.max_episode_steps = limit  # type: ignore[attr-defined]
        return env
    return gymnasium.wrappers.TimeLimit(env, limit)


def _check_render_mode(env_id: str, creator: Creator, mode: str) -> None:
    metadata = getattr(creator, "metadata", None)
    if not isinstance(creator, type) or not isinstance(metadata, dict):
        return
    allowed = [str(name) for name in metadata.get("render_modes") or ()]
    if mode not in allowed:
        raise ConfigError(
            f"environment '{env_id}' has no render mode '{mode}'. "
            f"Allowed: {', '.join(allowed) or 'none'}."
        )


def _check_kwargs(env_id: str, creator: Creator, kwargs: Mapping[str, object]) -> None:
    try:
        parameters = inspect.signature(creator).parameters.values()
    except (TypeError, ValueError):
        return  # Written in C; its own error has to do.
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    is_open = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for name in kwargs:
        if name not in named and not is_open:
            raise ConfigError(
                f"environment '{env_id}' takes no argument '{name}'. "
                f"Allowed in env.kwargs: {', '.join(named) or 'none'}.{suggest(name, named)}"
            )
    for parameter in parameters:
        required = parameter.default is parameter.empty and parameter.name in named
        if required and parameter.name not in kwargs:
            raise ConfigError(
                f"environment '{env_id}' needs an argument '{parameter.name}'. "
                f"Give it as env.kwargs.{parameter.name}."
            )
