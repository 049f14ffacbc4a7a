"""What a search's file may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, NonNegativeInt, PositiveInt, Tag, model_validator

from roboyard.config.base import Name, Record, choice
from roboyard.config.validation import checked
from roboyard.tuning.experiment_definition import RetryLimits, RunResources, read_mapping
from roboyard.tuning.space import Space

RETURN = "return"
"""The metric that every run reports: the interquartile mean of its evaluations' returns."""


class Objective(Record):
    """A number to make large or small."""

    metric: str = Field(default=RETURN, min_length=1)
    """``return``, ``success_rate``, ``time_s``, ``steps``, or what the task reports."""
    goal: Literal["max", "min"] = "max"
    """Which way is better."""


class NoScheduler(Record):
    """Every trial runs to its end."""

    type: Literal["none"] = "none"


class HalvingScheduler(Record):
    """ASHA (Li et al. 2018): few steps for many trials, many for the best.

    ``hyperband`` is its asynchronous form with three brackets: some trials are not stopped early.
    """

    type: Literal["asha", "hyperband"]
    grace_steps: PositiveInt
    """No trial is stopped before it has done so many control steps."""
    factor: int = Field(default=3, ge=2)
    """One of so many trials goes on at each rung, which is so many times longer."""


class MedianScheduler(Record):
    """Stops a trial whose best result is below the median of the others' means so far."""

    type: Literal["median"]
    grace_steps: PositiveInt
    """No trial is stopped before it has done so many control steps."""
    least_trials: PositiveInt = 3
    """Nor before so many others can be compared with."""


class PopulationScheduler(Record):
    """Population-based training (Jaderberg et al. 2017): the weak go on from copies of the strong.

    A copy is a new run that continues exactly from the other's checkpoint, with values perturbed.
    """

    type: Literal["pbt"]
    interval_steps: PositiveInt
    """Control steps between two looks at the population; evaluations and checkpoints follow it."""
    quantile: float = Field(default=0.25, gt=0.0, le=0.5)
    """Part of the population that is replaced, and part that it is replaced by."""
    resample: float = Field(default=0.25, ge=0.0, le=1.0)
    """How often a value is drawn anew instead of being perturbed by 0.8 or 1.2."""


_SCHEDULERS = ("none", "asha", "hyperband", "median", "pbt")


def _tag(value: object) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "<halving>" if kind in ("asha", "hyperband") else f"<{kind}>"


Scheduler = Annotated[
    Annotated[NoScheduler, Tag("<none>")]
    | Annotated[HalvingScheduler, Tag("<halving>")]
    | Annotated[MedianScheduler, Tag("<median>")]
    | Annotated[PopulationScheduler, Tag("<pbt>")],
    choice(
        "scheduler",
        _tag,
        _SCHEDULERS,
        key="type",
        expected="a scheduler such as {type: asha, grace_steps: 5000}",
    ),
]


class SearchDefinition(Record):
    """A search: one base config, and a space of values for some of its keys."""

    name: Name
    """Name of the search; its runs live in ``<store>/<name>/``."""
    base: str = Field(min_length=1)
    """YAML file of the config, relative to this file."""
    store: str | None = Field(default=None, min_length=1)
    """Folder or ``s3://bucket/prefix``; by default the base config's."""
    space: Space
    """Dotted keys of the config, and how their values are drawn."""
    trials: PositiveInt
    """How many trials; with population-based training, the size of the population."""
    seeds: list[NonNegativeInt] = Field(default=[0], min_length=1)
    """Seeds of each trial; those after the first only for trials that were not stopped."""
    objective: Objective | list[Objective] = Objective()
    """What to optimise; several are traded against each other."""
    sampler: Literal["tpe", "cmaes", "random", "nsga2"] = "tpe"
    """How Optuna chooses values."""
    scheduler: Scheduler = NoScheduler()
    """When trials are stopped early."""
    seed: NonNegativeInt = 0
    """Seed of the search; with ``parallel: 1`` the same seed repeats the search exactly."""
    parallel: PositiveInt | None = None
    """Most trials at a time; by default as many as there is room for."""
    start: list[dict[str, JsonValue]] = Field(default_factory=list)
    """Values of trials to begin with."""
    warm_start: str | None = None
    """An earlier search, whose trials count as known: its folder, or its place in a store."""
    resources: RunResources = RunResources()
    """What each trial needs of a node."""
    retries: RetryLimits = RetryLimits()
    """How often a trial's run is started again."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.space:
            raise ValueError(
                "space is empty: name at least one key, such as "
                "agent.hyperparameters.learning_rate: {type: loguniform, low: 1e-5, high: 1e-2}"
            )
        several = len(self.objectives) > 1
        if several and self.scheduler.type != "none":
            raise ValueError("scheduler: trials can be stopped early for one objective only")
        if several and self.sampler == "cmaes":
            raise ValueError("sampler: cmaes has one objective only; use tpe or nsga2")
        if self.scheduler.type == "pbt" and len(self.seeds) > 1:
            raise ValueError("seeds: population-based training has one seed a member")
        if len({objective.metric for objective in self.objectives}) < len(self.objectives):
            raise ValueError("objective: each metric may stand there once")
        return self

    @property
    def objectives(self) -> list[Objective]:
        """All objectives, the first one first."""
        return [self.objective] if isinstance(self.objective, Objective) else self.objective


def load_search(path: str | Path) -> SearchDefinition:
    """Return the search that a YAML file describes.

    Raises:
        ConfigError: Something is wrong; one line for each problem, with file, line and key.
    """
    return checked(SearchDefinition, read_mapping(Path(path), "name, base, space and trials"))
