"""Ray Tune's news, passed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ray import tune


class ResultCallback(tune.Callback):
    """Passes on each result, and says when a trial has ended."""

    def __init__(
        self, listener: Callable[[Mapping[str, Any]], None], ended: Callable[[], None]
    ) -> None:
        """Pass on.

        Args:
            listener: Told each result.
            ended: Called when a trial has ended.
        """
        self._listener = listener
        self._ended = ended

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,  # noqa: ANN401
        result: Mapping[str, Any],
        **info: Any,  # noqa: ANN401
    ) -> None:
        """Pass a result on."""
        self._listener({**result, "values": trial.config.get("values", {})})

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ANN401
        """Say that a trial has ended."""
        self._ended()
