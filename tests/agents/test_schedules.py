"""Schedules: values worked out by hand."""

import pickle

import pytest
from stable_baselines3.common.utils import FloatSchedule

from roboyard.agents.schedules import Constant, Cosine, Exponential, Linear, to_callable
from roboyard.config.schedules import (
    ConstantSchedule,
    CosineSchedule,
    ExponentialSchedule,
    LinearSchedule,
)

LINEAR = LinearSchedule(type="linear", start=1.0, end=0.2)
COSINE = CosineSchedule(type="cosine", start=1.0, end=0.0)
EXPONENTIAL = ExponentialSchedule(type="exponential", start=1.0, end=0.01)
WARM = LinearSchedule(type="linear", start=1.0, end=0.0, warmup=0.2)
FLAT = ConstantSchedule(type="constant", start=0.3, warmup=0.5)


@pytest.mark.parametrize(
    ("record", "progress_remaining", "expected"),
    [
        (LINEAR, 1.0, 1.0),
        (LINEAR, 0.5, 0.6),
        (LINEAR, 0.0, 0.2),
        (COSINE, 1.0, 1.0),
        (COSINE, 0.75, 0.8535533905932737),  # (1 + cos(pi / 4)) / 2
        (COSINE, 0.5, 0.5),
        (COSINE, 0.0, 0.0),
        (EXPONENTIAL, 1.0, 1.0),
        (EXPONENTIAL, 0.5, 0.1),
        (EXPONENTIAL, 0.0, 0.01),
        (WARM, 1.0, 0.0),
        (WARM, 0.9, 0.5),
        (WARM, 0.8, 1.0),
        (WARM, 0.4, 0.5),
        (WARM, 0.0, 0.0),
        (FLAT, 1.0, 0.0),
        (FLAT, 0.75, 0.15),
        (FLAT, 0.5, 0.3),
        (FLAT, 0.0, 0.3),
    ],
)
def test_values_are_those_worked_out_by_hand(record, progress_remaining, expected):
    assert to_callable(record)(progress_remaining) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("record", [LINEAR, COSINE, EXPONENTIAL])
def test_a_last_rollout_past_the_end_keeps_the_final_value(record):
    schedule = to_callable(record)
    assert schedule(-0.01) == schedule(0.0)


def test_a_number_stays_a_number():
    assert to_callable(3e-4) == 3e-4


@pytest.mark.parametrize(
    "schedule",
    [Constant(1.0, 0.0), Linear(1.0, 0.1, 0.0), Cosine(1.0, 0.1, 0.0), Exponential(1.0, 0.1, 0.5)],
)
def test_schedules_pickle_and_sb3_takes_them(schedule):
    copy = pickle.loads(pickle.dumps(schedule))
    assert copy == schedule
    assert FloatSchedule(copy)(0.25) == schedule(0.25)
