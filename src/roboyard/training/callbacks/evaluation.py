"""Evaluation during training, on environments of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import JsonValue

from roboyard.agents.torch.threads import acting_threads, torch_threads
from roboyard.evaluation.stopping import ShouldStop, StoppedError
from roboyard.tracking import JsonlWriter, MetricWriter
from roboyard.training.callbacks.base import Boundary, Every, RunCallback
from roboyard.training.live_policy import LivePolicy
from roboyard.training.seeding import preserved_generators

if TYPE_CHECKING:
    from roboyard.evaluation.evaluator import EvaluationResult, Evaluator

_LOG = logging.getLogger(__name__)


class Score(NamedTuple):
    """Mean return of one evaluation."""

    step: int
    mean: float


class EvaluationCallback(RunCallback):
    """Measures the policy, writes a row for each evaluation and keeps the best policy.

    Training does not notice: the environments are others and no generator moves.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        every_steps: int,
        history: JsonlWriter,
        keep_best: Callable[[EvaluationResult], None],
        curves: MetricWriter | None = None,
        *,
        should_stop: ShouldStop | None = None,
    ) -> None:
        """Evaluate with ``evaluator``.

        Args:
            evaluator: Runs the episodes.
            every_steps: Control steps between evaluations.
            history: Where each evaluation's row goes.
            keep_best: Called with the evaluation when the policy is the best so far.
            curves: Where the mean return and length go for plotting.
            should_stop: Says when an evaluation must be left; a continued run makes up for it.
        """
        super().__init__()
        self.latest: Score | None = None
        """The last evaluation."""
        self.best: Score | None = None
        """The best evaluation."""
        self._evaluator = evaluator
        self._every = Every(every_steps)
        self._history = history
        self._keep_best = keep_best
        self._curves = curves
        self._should_stop = should_stop
        self._is_owed = False

    def on_boundary(self, boundary: Boundary) -> None:
        """Evaluate if it is due."""
        measured = self.latest is not None and self.latest.step == boundary.step
        if self._every.due(boundary) or (boundary.final and not measured):
            self._evaluate(boundary.step)

    def on_restored(self, boundary: Boundary) -> None:
        """Evaluate if the run was stopped while it did."""
        if self._is_owed:
            self._evaluate(boundary.step)

    def state(self) -> Mapping[str, JsonValue]:
        """Return the last and the best score."""
        return {
            "last": self._every.last,
            "owed": self._is_owed,
            "latest": list(self.latest) if self.latest else None,
            "best": list(self.best) if self.best else None,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with these scores."""
        self._every.last = state["last"]
        self._is_owed = state.get("owed", False)  # older runs do not say
        self.latest = Score(*state["latest"]) if state["latest"] else None
        self.best = Score(*state["best"]) if state["best"] else None

    def close(self) -> None:
        """Close the environments."""
        self._evaluator.close()

    def _evaluate(self, step: int) -> None:
        start = time.perf_counter()
        threads = acting_threads(self.model.observation_space)
        try:
            with preserved_generators(), torch_threads(threads):
                result = self._evaluator.evaluate(
                    LivePolicy(self.model), should_stop=self._should_stop
                )
        except StoppedError:
            _LOG.warning("the evaluation at step %d is left for when the run continues.", step)
            self._is_owed = True
            return
        self._is_owed = False
        self.latest = Score(step, result.mean)
        is_best = self.best is None or result.mean > self.best.mean
        if is_best:
            self.best = self.latest
            self._keep_best(result)
        self._record(result, time.perf_counter() - start, is_best)
        _LOG.info(
            "evaluation at step %d: mean return %.2f +- %.2f%s.",
            step,
            result.mean,
            result.std,
            ", the best so far" if is_best else "",
        )

    def _record(self, result: EvaluationResult, seconds: float, is_best: bool) -> None:
        assert self.latest is not None
        step = self.latest.step
        row = {"step": step, **result.to_dict(), "wall_s": seconds, "is_best": is_best}
        self._history.write_row(row)
        if self._curves is not None:
            curves = {"evaluation/return_mean": result.mean, "evaluation/iqm": result.iqm}
            if result.success_rate is not None:
                curves["evaluation/success_rate"] = result.success_rate
            curves |= {f"evaluation/{name}": mean for name, mean in result.mean_metrics.items()}
            self._curves.write(curves, step)
