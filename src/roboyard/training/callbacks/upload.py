"""Getting what a run produces to its store, and noticing when it does not get there."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from roboyard.runs.ownership import RunOwnership
from roboyard.training.callbacks.base import Boundary, RunCallback, StopRequest
from roboyard.training.callbacks.checkpoint import CheckpointCallback
from roboyard.training.callbacks.evaluation import EvaluationCallback

_LOG = logging.getLogger(__name__)

PUSH_S = 30.0
"""How often metrics are sent, when nothing more important is [s]."""
LATE_INTERVALS = 3
"""A checkpoint older than so many intervals is worth a warning."""


class LeaseCallback(RunCallback):
    """Stops the run before it writes anything at a boundary when another process drives it."""

    def __init__(self, custody: RunOwnership) -> None:
        """Ask ``custody``."""
        super().__init__()
        self._custody = custody

    def on_boundary(self, boundary: Boundary) -> None:
        """Make sure that this process still drives the run.

        Raises:
            LeaseLostError: It does not.
        """
        del boundary  # Unused.
        self._custody.check()


class UploadCallback(RunCallback):
    """Has files sent whenever there is something new, and warns when they do not arrive.

    It comes after the checkpoint, so that what was just written is sent at once.
    """

    def __init__(
        self,
        custody: RunOwnership,
        checkpoints: CheckpointCallback,
        evaluations: EvaluationCallback | None,
        stop: StopRequest,
    ) -> None:
        """Watch the run of ``custody``.

        Args:
            custody: Sends the files.
            checkpoints: Knows the newest checkpoint.
            evaluations: Knows the newest evaluation.
            stop: Is told how long a checkpoint takes to be safe.
        """
        super().__init__()
        self._custody = custody
        self._checkpoints = checkpoints
        self._evaluations = evaluations
        self._stop = stop
        self._sent: tuple[object, ...] = ()
        self._sent_at = -float("inf")
        self._interval_s = 0.0
        self._seen = checkpoints.written
        self._warned = False

    @property
    def age_s(self) -> float:
        """Age of the newest checkpoint that is where it will be looked for [s]."""
        written = time.monotonic() - self._checkpoints.written
        return max(written, self._custody.age_s)

    def gauges(self) -> Mapping[str, float]:
        """Return what belongs into a row of metrics."""
        return {"checkpoint/age_s": self.age_s, "checkpoint/cost_s": self._checkpoints.cost_s}

    def on_boundary(self, boundary: Boundary) -> None:
        """Send what is new; warn when the store falls behind."""
        del boundary  # Unused.
        self._measure_interval()
        self._stop.needed_s = self._checkpoints.cost_s + self._custody.upload_s
        news = (
            self._checkpoints.last_step,
            self._evaluations.latest if self._evaluations is not None else None,
        )
        now = time.monotonic()
        if news != self._sent or now - self._sent_at > PUSH_S:
            self._sent, self._sent_at = news, now
            self._custody.push()
        self._warn_if_late()

    def _measure_interval(self) -> None:
        if self._checkpoints.written != self._seen:
            # The longest so far: an early checkpoint does not make the next one late.
            self._interval_s = max(self._interval_s, self._checkpoints.written - self._seen)
            self._seen = self._checkpoints.written

    def _warn_if_late(self) -> None:
        # 0 where steps decide and the time between two has not been seen yet: nothing is late.
        interval_s = max(self._interval_s, self._checkpoints.planned_s)
        late = interval_s > 0 and LATE_INTERVALS * max(interval_s, PUSH_S) < self.age_s
        failed = self._custody.upload_error
        if not (late or failed):
            self._warned = False
            return
        if self._warned:
            return
        self._warned = True
        _LOG.error(
            "THE NEWEST SAFE CHECKPOINT IS %.0f s OLD%s: if this machine vanishes now, what came "
            "after it has to be done again. Files are in '%s'.",
            self.age_s,
            f" because uploads fail ({failed})" if failed else "",
            self._custody.run.path,
        )
