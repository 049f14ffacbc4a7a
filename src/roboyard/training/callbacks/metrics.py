"""Rows of metrics: returns, losses, speed, where the time goes, load of the machine."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import psutil
from pydantic import JsonValue
from stable_baselines3.common.logger import KVWriter, Logger

from roboyard.agents.backends import refresh_policy
from roboyard.tracking import MetricWriter
from roboyard.training.callbacks.base import Boundary, Every, RunCallback
from roboyard.training.monitoring.timing import PhaseClock

_LOG = logging.getLogger(__name__)

_WINDOW = 100
"""Episodes that means are taken over, as of returns."""


class TrackingOutput(KVWriter):
    """Passes what is recorded in the algorithm's logger on to metric writers."""

    def __init__(self, writers: Sequence[MetricWriter]) -> None:
        """Write to all of ``writers``."""
        self._writers = tuple(writers)

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Write the numbers; pictures and texts are left to other outputs."""
        del key_excluded  # Unused.
        numbers = _numbers(key_values)
        for writer in self._writers:
            writer.write(numbers, step)

    def close(self) -> None:
        """Close the writers."""
        for writer in self._writers:
            writer.close()


def make_logger(writers: Sequence[MetricWriter]) -> Logger:
    """Return a logger for an algorithm that writes to ``writers`` and nothing else."""
    return Logger(folder=None, output_formats=[TrackingOutput(writers)])


class MetricsCallback(RunCallback):
    """Writes a row whenever an interval of steps has passed, and at the end."""

    def __init__(
        self, every_steps: int, gauges: Callable[[], Mapping[str, float]] | None = None
    ) -> None:
        """Write a row every ``every_steps`` control steps.

        Args:
            every_steps: Control steps between rows.
            gauges: Returns further numbers at the moment of a row.
        """
        super().__init__()
        self._gauges = gauges or dict
        self._every = Every(every_steps)
        self._clock: PhaseClock | None = None
        self._started = self._row_time = time.perf_counter()
        self._row_step = 0
        self._reward_terms: deque[dict[str, float]] = deque(maxlen=_WINDOW)

    def on_boundary(self, boundary: Boundary) -> None:
        """Write a row if one is due."""
        if self._every.due(boundary) or (boundary.final and self._row_step < boundary.step):
            refresh_policy(self.model)  # records what is still being learnt
            rollout = self._rollout() | self._rewards()
            rows = (rollout, self._times(boundary.step), _system(), self._gauges())
            for key, value in (pair for row in rows for pair in row.items()):
                self.logger.record(key, value)
            self.logger.dump(boundary.step)

    def state(self) -> Mapping[str, JsonValue]:
        """Return the position, and what was recorded since the last row."""
        return {
            "last": self._every.last,
            "row_step": self._row_step,
            "elapsed": time.perf_counter() - self._started,
            "recorded": dict(_numbers(self.logger.name_to_value)),
            "counts": dict(self.logger.name_to_count),
            "reward_terms": [dict(terms) for terms in self._reward_terms],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._every.last, self._row_step = state["last"], state["row_step"]
        self._started = time.perf_counter() - state["elapsed"]
        self.logger.name_to_value.clear()
        for key, value in state["recorded"].items():
            self.logger.record(key, value)
        self.logger.name_to_count.update(state["counts"])
        self._reward_terms.extend(state.get("reward_terms", ()))

    def _on_training_start(self) -> None:
        self._clock = PhaseClock(self.model)
        self._row_time = time.perf_counter()
        psutil.cpu_percent()  # the first call only sets the mark for the next

    def _on_step(self) -> bool:
        for info in self.locals.get("infos", ()):  # ARS shows none
            terms = info.get("episode_reward_terms")
            if terms:
                self._reward_terms.append({name: float(share) for name, share in terms.items()})
        return True

    def _rewards(self) -> dict[str, float]:
        """Return what each term of the reward adds to an episode's return, on average."""
        names = dict.fromkeys(name for terms in self._reward_terms for name in terms)
        return {
            f"reward/{name}": _mean([terms.get(name, 0.0) for terms in self._reward_terms])
            for name in names
        }

    def _rollout(self) -> dict[str, float]:
        episodes, successes = self.model.ep_info_buffer, self.model.ep_success_buffer
        row = {}
        if episodes:
            row["rollout/return_mean"] = _mean([episode["r"] for episode in episodes])
            row["rollout/length_mean"] = _mean([episode["l"] for episode in episodes])
        if successes:
            row["rollout/success_rate"] = _mean(list(successes))
        return row

    def _times(self, step: int) -> dict[str, float]:
        assert self._clock is not None
        now = time.perf_counter()
        speed = (step - self._row_step) / max(now - self._row_time, 1e-9)
        self._row_time, self._row_step = now, step
        shares = {f"time/{name}": share for name, share in self._clock.take_shares().items()}
        return {"time_s": now - self._started, "time/steps_per_s": speed, **shares}


def _system() -> dict[str, float]:
    process = psutil.Process()
    return {
        "system/cpu_percent": psutil.cpu_percent(),
        "system/load_1min": psutil.getloadavg()[0],
        "system/memory_percent": psutil.virtual_memory().percent,
        "system/process_memory_mb": process.memory_info().rss / 2**20,
    }


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Keep what is a single number."""
    kept = {}
    for key, value in values.items():
        if isinstance(value, bool | int | float | np.number | np.bool_):
            kept[key] = float(value)
    return kept


def _mean(values: Sequence[Any]) -> float:
    return math.fsum(float(value) for value in values) / len(values)
