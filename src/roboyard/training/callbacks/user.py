"""The user's own callbacks, named in the config."""

from __future__ import annotations

from collections.abc import Sequence

from stable_baselines3.common.callbacks import BaseCallback

from roboyard.config.schema import CallbackConfig
from roboyard.errors import ConfigError
from roboyard.registry import resolve_entry


def make_user_callbacks(configs: Sequence[CallbackConfig]) -> list[BaseCallback]:
    """Build the callbacks that a config names.

    Raises:
        ConfigError: An entry cannot be imported, is no callback class, or does not take its
            arguments.
    """
    return [_make(config) for config in configs]


def _make(config: CallbackConfig) -> BaseCallback:
    kind = resolve_entry(config.entry, "callback")
    if not (isinstance(kind, type) and issubclass(kind, BaseCallback)):
        raise ConfigError(
            f"callback '{config.entry}' is {_describe(kind)}; it must be a class derived from "
            "stable_baselines3.common.callbacks.BaseCallback or from "
            "roboyard.training.callbacks.RunCallback."
        )
    try:
        return kind(**config.kwargs)  # type: ignore[arg-type]
    except TypeError as error:
        raise ConfigError(
            f"callback '{config.entry}' cannot be built with {dict(config.kwargs)}: {error}."
        ) from error


def _describe(kind: object) -> str:
    if isinstance(kind, type):
        return f"the class {kind.__name__}"
    return f"a {type(kind).__name__}, not a class"
