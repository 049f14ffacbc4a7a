"""Between Ray Tune, which runs trials, and the study, which chooses their values.

Ray has an ``OptunaSearch``. Of 2.60 it was seen that it drops constants from a space, tells Optuna
of stopped trials as if they were complete, and draws the first points again when a seeded search is
continued; so this asks and tells Optuna itself.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import JsonValue
from ray.tune.search import Searcher

from roboyard.config.load import load_written
from roboyard.errors import ConfigError
from roboyard.tuning.population import Member
from roboyard.tuning.space import to_overrides
from roboyard.tuning.study import Study

_MOST_REJECTED = 200


class StudySearcher(Searcher):
    """Hands out the study's trials: first those that an earlier driver began, then new ones."""

    def __init__(
        self,
        study: Study,
        base: dict[str, JsonValue],
        metrics: tuple[str, ...],
        most: int,
        member: Callable[[int], Member | None] = lambda number: None,
    ) -> None:
        """Prepare.

        Args:
            study: Where trials are known.
            base: The base config, against which each trial's values are checked.
            metrics: Names of the objectives' metrics.
            most: How many trials in all; those whose values do not go together are not counted.
            member: Returns what a member of a population is now.
        """
        super().__init__(metric=metrics[0], mode="max")
        self._study = study
        self._base = base
        self._metrics = metrics
        self._most = most
        self._member = member
        self._numbers: dict[str, int] = {}
        begun = [t for t in study.trials if t.state.name in ("RUNNING", "COMPLETE", "PRUNED")]
        self._begun = deque(t.number for t in begun)

    def suggest(self, trial_id: str) -> Any:  # noqa: ANN401 - a config, a word, or nothing
        """Return a trial's values, or that there are no more."""
        if self._begun:
            number = self._begun.popleft()
            frozen = next(t for t in self._study.trials if t.number == number)
            self._numbers[trial_id] = number
            values, known = self._study.values(frozen), None
            if frozen.state.name == "PRUNED":
                known = max(frozen.intermediate_values, default=0)
            return self._config(number, values, known)
        if len(self._numbers) >= self._most:
            return Searcher.FINISHED
        problem = ""
        for _ in range(_MOST_REJECTED):
            trial = self._study.ask()
            values = self._study.values(trial)
            try:
                load_written(self._base, to_overrides(values))
            except ConfigError as error:
                problem = str(error)
                self._study.tell(trial.number, None, ended=False, note=f"not possible: {problem}")
                continue
            self._numbers[trial_id] = trial.number
            return self._config(trial.number, values, None)
        raise ConfigError(
            f"{_MOST_REJECTED} points of the space in a row are not possible; the last: {problem}"
        )

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Tell the study how far a trial is."""
        value = result.get(self._metrics[0], float("nan"))
        self._study.report(self._numbers[trial_id], value, int(result["steps"]))

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the study how a trial ended."""
        if result is None or error or result.get("failed"):
            note = str((result or {}).get("failed") or "lost")
            self._study.tell(self._numbers[trial_id], None, ended=False, note=note)
            return
        values = [float(result.get(metric, math.nan)) for metric in self._metrics]
        self.on_trial_result(trial_id, result)  # Ray does not tell of the last one otherwise
        ended = bool(result.get("ended"))
        note = f"{'ended' if ended else 'stopped'} at step {result['steps']}"
        self._study.tell(self._numbers[trial_id], values, ended=ended, note=note)

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: the study's file has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing: the study's file has it all."""

    def _config(self, number: int, values: dict[str, JsonValue], known: int | None) -> Any:  # noqa: ANN401
        member = self._member(number)
        values = values if member is None else member.values
        return {"number": number, "values": values} | ({} if known is None else {"known": known})
