"""What a callback of a run can do beyond stable-baselines3's callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import JsonValue
from stable_baselines3.common.callbacks import BaseCallback

from roboyard.storage.run_directory import RunState


class Boundary(NamedTuple):
    """The moment between the last update and the next rollout; a run can stop only here."""

    step: int
    """Control steps done, in all environments together."""
    final: bool
    """Whether training is over."""


class StopTraining(Exception):  # noqa: N818 - a signal to the loop, not an error
    """Leaves the algorithm's loop at a boundary."""


class StopRequest:
    """How callbacks ask for the end of a run; the first reason counts."""

    def __init__(self) -> None:
        """Start without a request."""
        self.state: RunState | None = None
        self.reason = ""

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


class RunCallback(BaseCallback):
    """A callback that is also told about boundaries, and whose memory is kept in checkpoints.

    A user's callback may be a plain stable-baselines3 callback or one of these.
    """

    def on_boundary(self, boundary: Boundary) -> None:
        """Do what is due before the next rollout starts."""

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
