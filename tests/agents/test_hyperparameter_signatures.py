"""Hyperparameter records against the constructors that they configure."""

import pytest

from roboyard.agents.algorithms import constructor_parameters
from roboyard.agents.hyperparameters import SET_BY_ROBOYARD
from roboyard.config.agents import BUILTIN_AGENTS
from roboyard.config.algorithm_specs import ALGORITHMS
from roboyard.config.schedules import ScheduleBase
from roboyard.registry import resolve_entry


def hyperparameters(name):
    return BUILTIN_AGENTS[name].model_fields["hyperparameters"].default


@pytest.mark.parametrize("name", BUILTIN_AGENTS)
def test_every_hyperparameter_of_the_class_is_in_the_record_and_none_else(name):
    known = (
        set(constructor_parameters(resolve_entry(ALGORITHMS.resolve(name).torch))) - SET_BY_ROBOYARD
    )
    assert set(type(hyperparameters(name)).model_fields) == known


@pytest.mark.parametrize("name", BUILTIN_AGENTS)
def test_defaults_are_those_of_the_class(name):
    parameters = constructor_parameters(resolve_entry(ALGORITHMS.resolve(name).torch))
    record = hyperparameters(name)
    for key in type(record).model_fields:
        value = getattr(record, key)
        assert not isinstance(value, ScheduleBase)
        assert value == parameters[key].default, key
