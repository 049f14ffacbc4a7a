"""What a callback of a run can do beyond stable-baselines3's callbacks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from pydantic import JsonValue
from stable_baselines3.common.callbacks import BaseCallback

from roboyard.runs.directory import RunState


class Boundary(NamedTuple):
    """The moment between the last update and the next rollout; a run can stop only here."""

    step: int
    """Control steps done, in all environments together."""
    final: bool
    """Whether training is over."""


class StopTraining(Exception):  # noqa: N818 - a signal to the loop, not an error
    """Leaves the algorithm's loop at a boundary."""


class StopRequest:
    """How callbacks, signals and notices ask for the end of a run; the first reason counts."""

    def __init__(self) -> None:
        """Start without a request."""
        self.state: RunState | None = None
        self.reason = ""
        self.notice: str | None = None
        """What a thread or a signal asked for; it becomes the reason at the next boundary."""
        self.early = False
        """Whether a checkpoint is wanted before it is due."""
        self.needed_s = 0.0
        """How long it takes to bring a checkpoint to safety, as far as measured [s]."""
        self._deadline: float | None = None

    def __bool__(self) -> bool:
        """Return whether the run should stop at this boundary."""
        return self.state is not None

    def request(self, state: RunState, reason: str) -> None:
        """Ask to stop.

        Args:
            state: What the run's state becomes, ``finished`` or ``interrupted``.
            reason: Why, in a few words.
        """
        if self.state is None:
            self.state, self.reason = state, reason

    def interrupt(self, reason: str, seconds_left: float | None = None) -> None:
        """Ask to stop at the next boundary; may be called from a thread or a signal handler.

        Args:
            reason: Why.
            seconds_left: When the process will be killed [s]; None if that is not known.
        """
        # The time first: whoever sees the notice must see how long there is.
        if seconds_left is not None:
            deadline = time.monotonic() + seconds_left
            self._deadline = min(deadline, self._deadline or deadline)
        if self.notice is None:
            self.notice = reason

    def is_pressing(self) -> bool:
        """Return whether a signal or a notice wants the run to stop now."""
        return self.notice is not None

    @property
    def seconds_left(self) -> float | None:
        """Time until the process will be killed [s], if that is known; never negative."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def is_too_late(self) -> bool:
        """Return whether a checkpoint could no longer be brought to safety in time."""
        left = self.seconds_left
        return left is not None and left <= self.needed_s

    def verdict(self, last_step: int | None) -> str:
        """Say that there will be no further checkpoint.

        Args:
            last_step: Step of the newest one.
        """
        stands = (
            f"the checkpoint of step {last_step} stands"
            if last_step is not None
            else ("there is none yet")
        )
        return (
            f"{self.reason}: {self.seconds_left or 0.0:.1f} s are left and a checkpoint takes "
            f"{self.needed_s:.1f} s; {stands}."
        )


class RunCallback(BaseCallback):
    """A callback that is also told about boundaries, and whose memory is kept in checkpoints.

    A user's callback may be a plain stable-baselines3 callback or one of these.
    """

    reads_all_infos: ClassVar[bool] = True
    """Whether it may read the infos of steps at which no episode ends, which costs time to gather;
    any callback may say that it does not."""

    def on_boundary(self, boundary: Boundary) -> None:
        """Do what is due before the next rollout starts."""

    def on_restored(self, boundary: Boundary) -> None:
        """Do what the run did not come to at the boundary whose checkpoint was put back."""

    def state(self) -> Mapping[str, JsonValue]:
        """Return what must survive the death of the process."""
        return {}

    def load_state(self, state: Mapping[str, JsonValue]) -> None:
        """Take back what ``state`` returned."""

    def close(self) -> None:
        """Release what was opened; called at the end, also after errors."""

    def _on_step(self) -> bool:
        return True


class Every:
    """Says when the next multiple of an interval was reached."""

    def __init__(self, interval: int | None) -> None:
        """Count in ``interval`` steps; never due if it is None."""
        self._interval = interval
        self.last = 0
        """Step at which it was last due."""

    def due(self, boundary: Boundary) -> bool:
        """Return whether a multiple of the interval was passed since the last time."""
        if self._interval is None or self.last >= boundary.step:
            return False
        due = boundary.step // self._interval > self.last // self._interval
        if due:
            self.last = boundary.step
        return due
