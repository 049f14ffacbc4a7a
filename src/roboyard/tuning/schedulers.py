"""Ray Tune's schedulers, as a search's file asks for them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from roboyard.config.schema import ExperimentConfig
from roboyard.tuning.search_definition import (
    HalvingScheduler,
    MedianScheduler,
    PopulationScheduler,
    SearchDefinition,
)
from roboyard.tuning.space import ChoiceSpace, IntegerSpace, LogUniformSpace, UniformSpace, clipped

TIME = "steps"
"""What schedulers count: control steps, of all seeds of a trial together."""


def make_scheduler(definition: SearchDefinition, base: ExperimentConfig) -> Any:  # noqa: ANN401
    """Return the scheduler; metric and mode are given to Ray's tuner."""
    from ray.tune import schedulers

    scheduler = definition.scheduler
    # More than a trial can reach: its end is its own to say, so that it counts as complete.
    most = 2 * base.train.total_steps * len(definition.seeds)
    if isinstance(scheduler, HalvingScheduler):
        if scheduler.type == "hyperband":
            return schedulers.AsyncHyperBandScheduler(
                time_attr=TIME,
                max_t=most,
                grace_period=scheduler.grace_steps,
                reduction_factor=scheduler.factor,
                brackets=3,
            )
        return schedulers.ASHAScheduler(
            time_attr=TIME,
            max_t=most,
            grace_period=scheduler.grace_steps,
            reduction_factor=scheduler.factor,
        )
    if isinstance(scheduler, MedianScheduler):
        return schedulers.MedianStoppingRule(
            time_attr=TIME,
            grace_period=scheduler.grace_steps,
            min_samples_required=scheduler.least_trials,
        )
    if isinstance(scheduler, PopulationScheduler):
        return _population(definition, scheduler)
    return schedulers.FIFOScheduler()  # type: ignore[no-untyped-call]


def _population(definition: SearchDefinition, scheduler: PopulationScheduler) -> Any:  # noqa: ANN401
    from ray.tune.schedulers import PopulationBasedTraining

    space = definition.space

    def explored(config: dict[str, Any]) -> dict[str, Any]:
        return {**config, "values": clipped(space, config["values"])}

    return PopulationBasedTraining(
        time_attr=TIME,
        perturbation_interval=scheduler.interval_steps,
        quantile_fraction=scheduler.quantile,
        resample_probability=scheduler.resample,
        hyperparam_mutations={"values": {key: _mutation(space[key]) for key in space}},
        custom_explore_fn=explored,
        synch=True,  # so that what is copied does not depend on which node is faster
        log_config=False,
    )


def _mutation(distribution: UniformSpace | LogUniformSpace | IntegerSpace | ChoiceSpace) -> Any:  # noqa: ANN401
    """Return how a value is drawn anew: a list of choices, or a function."""
    match distribution:
        case ChoiceSpace(values=values):
            return list(values)
        case IntegerSpace(low=low, high=high):
            return lambda: random.randint(low, high)
        case LogUniformSpace(low=low, high=high):
            return lambda: float(np.exp(random.uniform(np.log(low), np.log(high))))
        case UniformSpace(low=low, high=high):
            return lambda: random.uniform(low, high)
