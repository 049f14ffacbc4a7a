"""The Optuna study of a search: in a file, which is all that is needed to go on with it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from roboyard.errors import ConfigError
from roboyard.optional import require
from roboyard.seeds import derive_seeds
from roboyard.tuning.search_definition import SearchDefinition
from roboyard.tuning.space import (
    ChoiceSpace,
    IntegerSpace,
    LogUniformSpace,
    Space,
    UniformSpace,
    is_active,
    ordered,
)

if TYPE_CHECKING:
    import optuna

STUDY_FILE = "study.db"
TOLD = "roboyard"
"""User attribute of a trial: what it came to, or why it failed."""


class Study:
    """A study whose suggestions depend on its seed and what it knows, not on which process asks."""

    def __init__(self, path: Path, definition: SearchDefinition) -> None:
        """Open or make the study in a file.

        Raises:
            ConfigError: The file holds a study with other objectives.
            MissingDependencyError: Optuna is not installed.
        """
        self._optuna = require("optuna", "tune")
        self._optuna.logging.set_verbosity(self._optuna.logging.ERROR)
        self._definition = definition
        self._keys = ordered(definition.space)
        directions = ["maximize" if o.goal == "max" else "minimize" for o in definition.objectives]
        self._study: optuna.Study = self._optuna.create_study(
            storage=f"sqlite:///{path}",
            study_name=definition.name,
            directions=directions,
            load_if_exists=True,
        )
        # An existing study keeps its own directions without a word.
        stored = [direction.name.lower() for direction in self._study.directions]
        if stored != directions:
            raise ConfigError(
                f"'{path}' holds a study that is to {' and '.join(stored)}; this search is to "
                f"{' and '.join(directions)}. Choose another name."
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is called experimental
            self._study.set_metric_names([o.metric for o in definition.objectives])

    @property
    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """All trials of this search, in their order, without those of an earlier one."""
        return [t for t in self._study.get_trials(deepcopy=False) if "earlier" not in t.user_attrs]

    @property
    def inner(self) -> optuna.Study:
        """Optuna's study."""
        return self._study

    def begin(self, start: Sequence[Mapping[str, JsonValue]], earlier: Path | None) -> None:
        """Note what a new study begins with; nothing happens to one that has begun.

        Raises:
            ConfigError: ``earlier`` is no study, or has other objectives.
        """
        if self._study.get_trials(deepcopy=False):
            return
        if earlier is not None:
            self._take_over(earlier)
        for values in start:
            self._study.enqueue_trial({key: self._encoded(key, v) for key, v in values.items()})

    def ask(self) -> optuna.Trial:
        """Return a new trial with values drawn for it."""
        number = len(self._study.get_trials(deepcopy=False))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # experimental, and tells of independent sampling
            self._study.sampler = self._sampler(number)
            trial = self._study.ask()
            values: dict[str, JsonValue] = {}
            for key in self._keys:
                if is_active(self._definition.space[key], values):
                    values[key] = self._drawn(trial, key)
        return trial

    def values(self, trial: optuna.trial.FrozenTrial | optuna.Trial) -> dict[str, JsonValue]:
        """Return a trial's values as the config takes them."""
        return {key: self._decoded(key, value) for key, value in trial.params.items()}

    def tell(self, number: int, values: Sequence[float] | None, *, ended: bool, note: str) -> None:
        """Record how a trial ended, once.

        Args:
            number: The trial's.
            values: One for each objective; None or not finite where it failed.
            ended: Whether it ran to its end; otherwise it was stopped for being behind.
            note: What to say of it.
        """
        states = self._optuna.trial.TrialState
        frozen = next(t for t in self._study.get_trials(deepcopy=False) if t.number == number)
        if frozen.state.is_finished():
            return
        trial = self._optuna.trial.Trial(self._study, frozen._trial_id)
        trial.set_user_attr(TOLD, note)
        good = values is not None and all(math.isfinite(value) for value in values)
        if not good:  # Optuna would take an infinite one for the best for ever
            self._study.tell(number, state=states.FAIL)
        elif not ended:
            self._study.tell(number, state=states.PRUNED)
        else:
            self._study.tell(number, list(values or ()))

    def report(self, number: int, value: float, step: int) -> None:
        """Record how far a trial has come; for one objective."""
        frozen = next(t for t in self._study.get_trials(deepcopy=False) if t.number == number)
        if frozen.state.is_finished() or not math.isfinite(value):
            return
        if len(self._definition.objectives) == 1 and step not in frozen.intermediate_values:
            self._optuna.trial.Trial(self._study, frozen._trial_id).report(value, step)

    def best(self) -> list[optuna.trial.FrozenTrial]:
        """Return the best trial, or with several objectives those that no other one beats."""
        done = [t for t in self.trials if t.state.name == "COMPLETE"]
        if not done:
            return []
        if len(self._definition.objectives) > 1:
            return [t for t in self._study.best_trials if "earlier" not in t.user_attrs]
        sign = 1.0 if self._definition.objectives[0].goal == "max" else -1.0
        return [max(done, key=lambda t: (sign * t.values[0], -t.number))]

    def _sampler(self, number: int) -> Any:  # noqa: ANN401 - optuna is imported late
        samplers = self._optuna.samplers
        seed = derive_seeds(self._definition.seed, f"trial-{number}", 1)[0]
        if self._definition.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        if self._definition.sampler == "cmaes":
            require("cmaes", "tune")
            return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        if self._definition.sampler == "nsga2":
            return samplers.NSGAIISampler(seed=seed)
        return samplers.TPESampler(seed=seed, multivariate=True, group=True)

    def _drawn(self, trial: optuna.Trial, key: str) -> JsonValue:
        found: Any
        match self._definition.space[key]:
            case UniformSpace(low=low, high=high):
                found = trial.suggest_float(key, low, high)
            case LogUniformSpace(low=low, high=high):
                found = trial.suggest_float(key, low, high, log=True)
            case IntegerSpace(low=low, high=high, step=step, log=log):
                found = trial.suggest_int(key, low, high, step=step, log=log)
            case ChoiceSpace(values=values):
                choices = [self._encoded(key, value) for value in values]
                found = trial.suggest_categorical(key, choices)
        return self._decoded(key, found)

    def _encoded(self, key: str, value: JsonValue) -> Any:  # noqa: ANN401
        """Return a value as Optuna can hold it: lists and mappings as text."""
        import json

        return json.dumps(value) if isinstance(value, list | dict) else value

    def _decoded(self, key: str, value: Any) -> JsonValue:  # noqa: ANN401
        distribution = self._definition.space[key]
        if isinstance(distribution, ChoiceSpace):
            return next(v for v in distribution.values if self._encoded(key, v) == value)
        found: JsonValue = value
        return found

    def _take_over(self, earlier: Path) -> None:
        old = open_earlier(self._optuna, earlier)
        if old.directions != self._study.directions:
            raise ConfigError(f"warm_start: '{earlier}' has other objectives than this search.")
        space: Space = self._definition.space
        for trial in old.get_trials(deepcopy=False):
            if trial.state.name == "COMPLETE" and set(trial.params) <= set(space):
                self._study.add_trial(
                    self._optuna.trial.create_trial(
                        values=trial.values,
                        params=trial.params,
                        distributions=trial.distributions,
                        user_attrs={"earlier": str(earlier)},
                    )
                )


def open_earlier(optuna: Any, path: Path) -> Any:  # noqa: ANN401 - optuna is imported late
    """Return the only study in a file.

    Raises:
        ConfigError: There is none.
    """
    if not path.is_file():
        raise ConfigError(f"'{path}' does not exist; give the folder of an earlier search.")
    storage = f"sqlite:///{path}"
    names = optuna.get_all_study_names(storage)
    if len(names) != 1:
        raise ConfigError(f"'{path}' holds {len(names)} studies; it must be one.")
    return optuna.load_study(study_name=names[0], storage=storage)
