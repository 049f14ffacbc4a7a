"""Schedule records as the callables that stable_baselines3 wants.

A schedule record speaks of progress ``t`` from 0 to 1; stable_baselines3 passes the progress
that *remains*, from 1 to 0. Every class here is a frozen dataclass, so that it pickles and
compares, and a pure function of its argument, so that a continued run sees the same values.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from roboyard.config.schedules import (
    CosineSchedule,
    ExponentialSchedule,
    LinearSchedule,
    ScheduleBase,
    Scheduled,
)


@dataclass(frozen=True)
class ScheduleFunction(ABC):
    """A value as a function of the remaining progress, with linear warm-up from zero."""

    start: float
    warmup: float

    def __call__(self, progress_remaining: float) -> float:
        """Return the value.

        Args:
            progress_remaining: 1 at the first step, 0 at the last; slightly below 0 when the
                last rollout runs past the end.
        """
        progress = 1.0 - progress_remaining
        if progress < self.warmup:
            return self.start * max(progress, 0.0) / self.warmup
        return self.shape(min((progress - self.warmup) / (1.0 - self.warmup), 1.0))

    @abstractmethod
    def shape(self, fraction: float) -> float:
        """Return the value after warm-up; ``fraction`` runs from 0 to 1."""


@dataclass(frozen=True)
class Constant(ScheduleFunction):
    """``start`` throughout."""

    def shape(self, fraction: float) -> float:
        """Return ``start``."""
        return self.start


@dataclass(frozen=True)
class Linear(ScheduleFunction):
    """A straight line from ``start`` to ``end``."""

    end: float

    def shape(self, fraction: float) -> float:
        """Return the point on the line."""
        return self.start + (self.end - self.start) * fraction


@dataclass(frozen=True)
class Cosine(ScheduleFunction):
    """Half a cosine wave from ``start`` to ``end`` (Loshchilov & Hutter 2017, eq. 5)."""

    end: float

    def shape(self, fraction: float) -> float:
        """Return the point on the wave."""
        return self.end + 0.5 * (self.start - self.end) * (1.0 + math.cos(math.pi * fraction))


@dataclass(frozen=True)
class Exponential(ScheduleFunction):
    """Geometric decay from ``start`` to ``end``."""

    end: float

    def shape(self, fraction: float) -> float:
        """Return ``start * (end / start) ** fraction``."""
        return self.start * math.pow(self.end / self.start, fraction)


def to_callable(value: Scheduled) -> float | Callable[[float], float]:
    """Return a number unchanged, and a schedule record as a function of remaining progress."""
    if not isinstance(value, ScheduleBase):
        return float(value)
    if isinstance(value, LinearSchedule):
        return Linear(value.start, value.warmup, value.end)
    if isinstance(value, CosineSchedule):
        return Cosine(value.start, value.warmup, value.end)
    if isinstance(value, ExponentialSchedule):
        return Exponential(value.start, value.warmup, value.end)
    return Constant(value.start, value.warmup)
