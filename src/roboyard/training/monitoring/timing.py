"""How much time goes into stepping, inference and learning."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from roboyard.agents.torch.rollouts import OverlappedRollouts

P = ParamSpec("P")
R = TypeVar("R")

LOOP: Final = "loop"
"""The phase of everything that is not watched."""
ENV: Final = "env"
INFERENCE: Final = "inference"
LEARN: Final = "learn"
CALLBACKS: Final = "callbacks"
_WHOLE: Final = (CALLBACKS, LEARN)
"""What happens inside these belongs to them."""


class PhaseClock:
    """Adds up the time spent in each phase of an algorithm's loop.

    Every moment belongs to one phase, the innermost; what callbacks and updates do is theirs.
    """

    def __init__(self, algorithm: BaseAlgorithm) -> None:
        """Start measuring; costs about two microseconds a vectorised step."""
        self._seconds = dict.fromkeys((LOOP, ENV, INFERENCE, LEARN), 0.0)
        self._open = [LOOP]
        self._since = time.perf_counter()
        for name in ("step_async", "step_wait"):
            self.watch(algorithm.env, name, ENV)
        self.watch(algorithm, "train", LEARN)
        if isinstance(algorithm, OverlappedRollouts) and algorithm.overlaps:
            self.watch(algorithm, "choose", INFERENCE)
            self.watch(algorithm, "judge", INFERENCE)
        elif isinstance(algorithm, OnPolicyAlgorithm):
            self._watch_forward(algorithm)
        else:
            self.watch(algorithm, "_sample_action", INFERENCE)

    def watch(self, owner: object, name: str, phase: str) -> None:
        """Time a method of one object, if it has it; classes and other objects stay as they are."""
        if hasattr(owner, name):
            setattr(owner, name, self._timed(phase, getattr(owner, name)))

    def take(self) -> dict[str, float]:
        """Return the time in each phase since the last call [s]; together, all the time."""
        self._account()
        taken, self._seconds = self._seconds, dict.fromkeys(self._seconds, 0.0)
        return taken

    def take_shares(self) -> dict[str, float]:
        """Return shares of the time since the last call, in [0, 1], by names of metrics."""
        seconds = self.take()
        elapsed = max(sum(seconds.values()), 1e-9)
        return {f"{name}_share": seconds[name] / elapsed for name in (ENV, INFERENCE, LEARN)}

    def _account(self) -> None:
        now = time.perf_counter()
        phase = self._open[-1]
        self._seconds[phase] = self._seconds.get(phase, 0.0) + now - self._since
        self._since = now

    def _enter(self, phase: str) -> None:
        self._account()
        self._open.append(self._open[-1] if self._open[-1] in _WHOLE else phase)

    def _leave(self) -> None:
        self._account()
        self._open.pop()

    def _timed(self, phase: str, function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            self._enter(phase)
            try:
                return function(*args, **kwargs)
            finally:
                self._leave()

        return timed

    def _watch_forward(self, algorithm: BaseAlgorithm) -> None:
        # The rollout calls the policy itself; the update calls evaluate_actions instead.
        algorithm.policy.register_forward_pre_hook(lambda *_: self._enter(INFERENCE))
        algorithm.policy.register_forward_hook(lambda *_: self._leave())
