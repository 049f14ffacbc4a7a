"""Hyperparameter records agree with the algorithms they configure."""

from __future__ import annotations

import inspect

import pytest
from stable_baselines3.common.utils import FloatSchedule

from roboyard.config.agents import BUILTIN_AGENTS
from roboyard.config.algorithm_specs import ALGORITHMS
from roboyard.config.schedules import LinearSchedule
from roboyard.registry import resolve_entry

SET_BY_ROBOYARD = {
    "policy", "env", "policy_kwargs", "seed", "device", "verbose", "tensorboard_log",
    "stats_window_size", "action_noise", "replay_buffer_class", "replay_buffer_kwargs",
    "rollout_buffer_class", "rollout_buffer_kwargs", "_init_setup_model",
}  # fmt: skip
SCHEDULED = {"learning_rate", "clip_range", "clip_range_vf", "delta_std"}


@pytest.mark.parametrize("name", sorted(BUILTIN_AGENTS))
def test_record_has_the_names_and_defaults_of_the_signature(name: str) -> None:
    parameters = inspect.signature(resolve_entry(ALGORITHMS.resolve(name).torch)).parameters
    record = BUILTIN_AGENTS[name].model_fields["hyperparameters"].annotation
    assert record is not None
    ours = {key: field.default for key, field in record.model_fields.items()}
    theirs = {k: p.default for k, p in parameters.items() if k not in SET_BY_ROBOYARD}
    assert ours == theirs


@pytest.mark.parametrize("name", sorted(BUILTIN_AGENTS))
def test_schedules_are_accepted_where_the_algorithm_accepts_them(name: str) -> None:
    parameters = inspect.signature(resolve_entry(ALGORITHMS.resolve(name).torch)).parameters
    record = BUILTIN_AGENTS[name].model_fields["hyperparameters"].annotation
    accepting = set()
    for key in record.model_fields:
        try:
            record.model_validate({key: {"type": "linear", "start": 0.5}})
        except ValueError:
            continue
        accepting.add(key)
    assert accepting == SCHEDULED & set(parameters)
    assert all("Callable" in str(parameters[key].annotation) for key in accepting)


def test_schedule_argument_is_what_the_implementation_calls() -> None:
    assert FloatSchedule(lambda progress: progress / 2)(0.5) == 0.25
    assert LinearSchedule(type="linear", start=1.0).end == 0.0


def test_every_builtin_record_is_registered() -> None:
    assert set(BUILTIN_AGENTS) == set(ALGORITHMS.names())
