"""How much time goes into stepping, inference and learning."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

P = ParamSpec("P")
R = TypeVar("R")


class PhaseClock:
    """Adds up the time spent in each phase of an algorithm's loop."""

    def __init__(self, algorithm: BaseAlgorithm) -> None:
        """Start measuring; costs about a microsecond a control step."""
        self._seconds = {"env": 0.0, "inference": 0.0, "learn": 0.0}
        self._since = time.perf_counter()
        self._wrap(algorithm.env, "step", "env")
        self._wrap(algorithm, "train", "learn")
        if isinstance(algorithm, OnPolicyAlgorithm):
            self._hook_forward(algorithm)
        else:
            self._wrap(algorithm, "_sample_action", "inference")

    def take_shares(self) -> dict[str, float]:
        """Return each phase's share of the time since the last call, in [0, 1]."""
        now = time.perf_counter()
        elapsed = max(now - self._since, 1e-9)
        shares = {f"{name}_share": spent / elapsed for name, spent in self._seconds.items()}
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        self._since = now
        return shares

    def _timed(self, phase: str, function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._seconds[phase] += time.perf_counter() - start

        return timed

    def _wrap(self, owner: object, name: str, phase: str) -> None:
        """Time a method of one object; classes and other objects stay as they are."""
        if hasattr(owner, name):
            setattr(owner, name, self._timed(phase, getattr(owner, name)))

    def _hook_forward(self, algorithm: BaseAlgorithm) -> None:
        # The rollout calls the policy itself; the update calls evaluate_actions instead.
        start = 0.0

        def before(*_: object) -> None:
            nonlocal start
            start = time.perf_counter()

        def after(*_: object) -> None:
            self._seconds["inference"] += time.perf_counter() - start

        algorithm.policy.register_forward_pre_hook(before)
        algorithm.policy.register_forward_hook(after)
