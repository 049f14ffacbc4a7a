"""Reasons to end a run before its last step."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from roboyard.config.schema import EarlyStopConfig
from roboyard.training.callbacks.base import Boundary, RunCallback, StopRequest
from roboyard.training.callbacks.evaluation import EvaluationCallback, Score

_LOG = logging.getLogger(__name__)


class EarlyStopCallback(RunCallback):
    """Ends a run at a good score, after too long without a better one, or after a time."""

    def __init__(
        self, config: EarlyStopConfig, evaluations: EvaluationCallback | None, stop: StopRequest
    ) -> None:
        """Watch ``evaluations``; it must be called before this callback."""
        super().__init__()
        self._config = config
        self._evaluations = evaluations
        self._stop = stop
        self._started = time.monotonic()
        self._seen = 0
        self._reference: float | None = None
        self._without_improvement = 0
        self._ended = ""

    def on_boundary(self, boundary: Boundary) -> None:
        """Ask for the end if there is a reason."""
        if self._evaluations is not None:
            latest = self._evaluations.latest
            if latest is not None and latest.step > self._seen:
                self._judge(latest)
        minutes = (time.monotonic() - self._started) / 60
        if self._config.max_minutes is not None and minutes >= self._config.max_minutes:
            self._end(boundary.step, f"the time limit of {self._config.max_minutes:g} min")

    def on_restored(self, boundary: Boundary) -> None:
        """End a run again that was stopped after its end had been decided."""
        if self._ended:
            self._end(boundary.step, self._ended)
        else:
            self.on_boundary(boundary)

    def state(self) -> Mapping[str, JsonValue]:
        """Return how the patience stands."""
        return {
            "seen": self._seen,
            "reference": self._reference,
            "without_improvement": self._without_improvement,
            "ended": self._ended,
            "config": self._config.model_dump_json(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with this patience."""
        self._seen = state["seen"]
        self._reference = state["reference"]
        self._without_improvement = state["without_improvement"]
        # What a changed config asks for is judged anew; older runs do not say.
        is_same = state.get("config") == self._config.model_dump_json()
        self._ended = state.get("ended", "") if is_same else ""

    def _judge(self, score: Score) -> None:
        self._seen = score.step
        threshold, patience = self._config.return_threshold, self._config.patience
        if threshold is not None and score.mean >= threshold:
            self._end(score.step, f"the mean return {score.mean:.2f} reached {threshold:g}")
        if self._reference is None or score.mean > self._reference + self._config.min_improvement:
            self._reference, self._without_improvement = score.mean, 0
            return
        self._without_improvement += 1
        if patience is not None and self._without_improvement >= patience:
            self._end(
                score.step,
                f"no better mean return than {self._reference:.2f} in {patience} evaluations",
            )

    def _end(self, step: int, reason: str) -> None:
        if not self._stop:
            _LOG.info("stopping early at step %d: %s.", step, reason)
        self._ended = self._ended or reason
        self._stop.request("finished", f"stopped early: {reason}")
