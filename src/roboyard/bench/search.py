"""Measures settings one dimension after the other, within a given time."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from roboyard.agents.backends import choose_backend, has_accelerator
from roboyard.bench import variations
from roboyard.bench.variations import Effect, Variation
from roboyard.config.load import load
from roboyard.errors import RoboyardError
from roboyard.resources import available_cores
from roboyard.training.monitoring.profile import Profile, Setting
from roboyard.training.monitoring.throughput import measure

BETTER: Final = 1.05
"""A setting is worth changing to from this gain on; less is noise."""
_SHARE: Final = 1 / 30
"""Time for counting steps in one measurement, as a share of all; the rest is for building it."""
_SHORTEST_S, _LONGEST_S = 0.2, 4.0
_REPETITIONS: Final = 3
PATIENCE_S: Final = 20.0
"""The config's own setting is measured for at least so long before the search gives up [s]."""


@dataclasses.dataclass
class Row:
    """One setting and its measurements."""

    changes: dict[str, str]
    """Keys and values that make it from the config."""
    effect: Effect
    """What they do to a run's result."""
    setting: Setting
    """All of it, as resolved."""
    profile: Profile
    rates: list[float]
    """Control steps per second, by measurement."""

    @property
    def steps_per_s(self) -> float:
        """Median of the measurements [1/s]."""
        return statistics.median(self.rates)

    @property
    def cores(self) -> int:
        """Cores that it keeps busy, though not all of them all the time."""
        return max(self.setting.workers, self.setting.threads, 1)

    @property
    def overrides(self) -> list[str]:
        """The changes as after ``--set``."""
        return [f"{key}={value}" for key, value in self.changes.items()]


@dataclasses.dataclass
class Result:
    """What was measured; the config's own setting comes first."""

    rows: list[Row]
    notes: list[str]
    """What was not measured, and why."""

    def best(self, *, keeping: bool) -> Row:
        """Return the fastest setting, or the config's own if none is clearly faster.

        Args:
            keeping: Only among those with which the algorithm does the same.
        """
        rows = [row for row in self.rows if row.effect.keeps_semantics or not keeping]
        fastest = max(rows, key=lambda row: row.steps_per_s)
        own = self.rows[0]
        return fastest if fastest.steps_per_s >= BETTER * own.steps_per_s else own

    @property
    def steps_per_core_s(self) -> float:
        """Control steps per second and core of the setting that is best at that."""
        rows = [row for row in self.rows if row.effect.keeps_semantics]
        return max(row.steps_per_s / row.cores for row in rows)


class Search:
    """One search.

    From the config's own setting it goes to the best number of workers, then with that to the
    best number of threads, and so on: a few measurements instead of all combinations.
    """

    def __init__(
        self, source: str, overrides: Sequence[str], seconds: float, say: Callable[[str], None]
    ) -> None:
        """Prepare; nothing is measured yet.

        Args:
            source: The config's file.
            overrides: The user's own, as after ``--set``.
            seconds: Time for everything.
            say: Told what is measured now.
        """
        self._source = source
        self._overrides = list(overrides)
        self._seconds = seconds
        self._each = min(max(seconds * _SHARE, _SHORTEST_S), _LONGEST_S)
        self._deadline = time.perf_counter() + seconds
        self._cost = 0.0
        self._say = say
        self._result = Result([], [])

    def run(self) -> Result:
        """Measure.

        Raises:
            ConfigError: The config is wrong.
            TooSlowError: Its own setting could not be measured in the time there is.
        """
        config, cores = load(self._source, self._overrides), available_cores()
        envs, accelerator = (
            config.env.num_envs,
            has_accelerator(choose_backend(config.agent).backend),
        )
        self._result.rows.append(self._measure(Variation({}, Effect.NONE)))
        self._dimension("workers", lambda best: variations.workers(envs, cores, best.workers))
        self._dimension("backend", lambda best: variations.backends(best.backend))
        self._dimension("threads", lambda best: variations.threads(cores, best.threads))
        self._dimension(
            "device", lambda best: variations.devices(best.device, accelerator=accelerator)
        )
        self._dimension("environments", lambda _: variations.environments(config))
        self._repeat()
        return self._result

    def _dimension(self, name: str, candidates: Callable[[Setting], Iterable[Variation]]) -> None:
        """Measure each candidate on top of the best setting so far, which ``candidates`` sees."""
        best = max(
            (row for row in self._result.rows if row.effect.keeps_semantics),
            key=lambda row: row.steps_per_s,
        )
        for changes, effect in candidates(best.setting):
            worst = effect if not effect.keeps_semantics else _worse(effect, best.effect)
            variation = Variation({**best.changes, **changes}, worst)
            if not self._time_left():
                self._note(f"{name} {_named(changes)}: not measured, the time was over")
                continue
            try:
                self._result.rows.append(self._measure(variation))
            except (RoboyardError, RuntimeError, MemoryError) as error:
                # The last two: a device or this machine has no more memory.
                reason = next(iter(str(error).splitlines()), type(error).__name__)
                self._note(f"{name} {_named(changes)}: {reason}")

    def _repeat(self) -> None:
        """Measure the config's own and the best setting again in turn, while there is time."""
        rows = [self._result.rows[0]]
        rows += [
            row
            for row in (self._result.best(keeping=True), self._result.best(keeping=False))
            if row not in rows
        ]
        for _ in range(_REPETITIONS if len(rows) > 1 else 0):
            for row in rows:
                if self._time_left():
                    again = self._measure(Variation(row.changes, row.effect))
                    row.rates.append(again.steps_per_s)

    def _measure(self, variation: Variation) -> Row:
        start = time.perf_counter()
        left = self._deadline - start
        # Others may run over a little; without the own setting there is nothing to say.
        left = max(left, 0.25 * self._seconds if self._result.rows else PATIENCE_S)
        overrides = [f"{key}={value}" for key, value in variation.changes.items()]
        self._say(", ".join(overrides) or "the config's own setting")
        measured = measure(
            self._source, [*self._overrides, *overrides], seconds=self._each, limit_s=left
        )
        self._cost = time.perf_counter() - start
        profile = measured.profile
        rates = [measured.steps_per_s]
        return Row(dict(variation.changes), variation.effect, profile.setting, profile, rates)

    def _time_left(self) -> bool:
        return time.perf_counter() + 0.8 * self._cost < self._deadline

    def _note(self, text: str) -> None:
        self._result.notes.append(text)


def _worse(one: Effect, other: Effect) -> Effect:
    order = list(Effect)
    return max(one, other, key=order.index)


def _named(changes: Mapping[str, str]) -> str:
    return ", ".join(changes.values())
