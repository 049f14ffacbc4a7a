"""The one callback that the algorithm sees; it calls all others in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sb3_contrib import ARS
from stable_baselines3.common.callbacks import BaseCallback

from roboyard.training.callbacks.base import Boundary, RunCallback, StopRequest, StopTraining
from roboyard.training.data_parallel.group import Group

_LONG_ROLLOUT = 10_000
"""Steps that a rollout of whole episodes may still take after a request to stop."""


class RunCallbackList(BaseCallback):
    """Turns the start of a rollout into a boundary, and passes events on.

    A continued run starts like a new one; at its first boundary everything is put back, and
    what is due at a boundary is left out, because it was done before the checkpoint was taken.
    """

    def __init__(self, callbacks: Sequence[BaseCallback], stop: StopRequest) -> None:
        """Call ``callbacks`` in this order.

        Args:
            callbacks: Run callbacks and plain ones.
            stop: Where callbacks ask for the end of the run.
        """
        super().__init__()
        self.callbacks = list(callbacks)
        self.restore: Callable[[], None] | None = None
        """Puts a checkpoint back at the first boundary."""
        self.peers: Group | None = None
        """The processes that follow this one from boundary to boundary, if there are any."""
        self._stop = stop
        self._stepped = [callback for callback in self.callbacks if _wants_steps(callback)]
        self._rollouts_are_boundaries = True
        self._ignored = 0

    def boundary(self, *, final: bool = False) -> None:
        """Do what is due between an update and the next rollout.

        Raises:
            StopTraining: A callback asked for the end of the run.
        """
        if self.peers is not None:
            self.peers.at_boundary = True
        restore, self.restore = self.restore, None
        if restore is not None:
            restore()
        moment = Boundary(self.model.num_timesteps, final)
        for callback in self.callbacks:
            if isinstance(callback, RunCallback):
                act = callback.on_boundary if restore is None else callback.on_restored
                act(moment)
        if self._stop and not final:
            raise StopTraining
        if self.peers is not None and not final:
            self.peers.let_go()

    def close(self) -> None:
        """Let every callback release what it opened."""
        for callback in self.callbacks:
            if isinstance(callback, RunCallback):
                callback.close()

    def _init_callback(self) -> None:
        for callback in self.callbacks:
            callback.init_callback(self.model)
        if isinstance(self.model, ARS):
            self._rollouts_are_boundaries = False
            _call_before(self.model, "_do_one_update", self.boundary)

    def _on_training_start(self) -> None:
        for callback in self.callbacks:
            callback.on_training_start(self.locals, self.globals)

    def _on_rollout_start(self) -> None:
        if self._rollouts_are_boundaries:
            self.boundary()
        for callback in self.callbacks:
            callback.on_rollout_start()

    def _on_step(self) -> bool:
        # No short cut: every callback sees every step, also when one has asked to stop.
        go_on = all([callback.on_step() for callback in self._stepped])
        if self._stop.notice is not None and self._stop.is_too_late():
            # The rollout does not end in time; its steps will be done again.
            self._stop.request("interrupted", self._stop.notice)
            raise StopTraining
        if self._stop.notice is not None and not self._rollouts_are_boundaries:
            self._ignored += 1
            if self._ignored > _LONG_ROLLOUT:  # whole episodes, which may never end
                self._stop.request("interrupted", self._stop.notice)
                raise StopTraining
        return go_on

    def _on_rollout_end(self) -> None:
        for callback in self.callbacks:
            callback.on_rollout_end()

    def _on_training_end(self) -> None:
        for callback in self.callbacks:
            callback.on_training_end()

    def update_child_locals(self, locals_: dict[str, Any]) -> None:
        """Pass the algorithm's local variables on."""
        for callback in self._stepped:
            callback.update_locals(locals_)


def _wants_steps(callback: BaseCallback) -> bool:
    """Return whether a callback does anything at a step; most run callbacks do not."""
    return not isinstance(callback, RunCallback) or (
        type(callback)._on_step is not RunCallback._on_step
    )


def _call_before(owner: object, name: str, action: Callable[[], None]) -> None:
    """Call ``action`` before every call of a method.

    ARS draws its directions before it announces a rollout, so its boundary is earlier.
    """
    method = getattr(owner, name)

    def with_action(*args: object) -> object:
        action()
        return method(*args)

    setattr(owner, name, with_action)
