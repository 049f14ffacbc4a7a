"""Checkpoints are written as often as they are worth, and never change what is learnt."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_runs import fingerprint, tiny_config, train

from roboyard.config.load import load
from roboyard.config.schema import CheckpointConfig
from roboyard.errors import ConfigError
from roboyard.training.callbacks import Boundary
from roboyard.training.checkpoints.schedule import SHORTEST_S, CheckpointSchedule, best_interval


def lost_share(interval: float, cost: float, between_failures: float) -> float:
    return cost / interval + interval / 2 / between_failures


@pytest.mark.parametrize("cost", [0.05, 0.5, 5.0, 60.0])
def test_no_other_interval_loses_less(cost: float) -> None:
    best = best_interval(cost, 4 * 3600)
    for other in (0.8 * best, 1.25 * best):
        assert lost_share(best, cost, 4 * 3600) < lost_share(other, cost, 4 * 3600)


def test_cheap_checkpoints_are_not_written_all_the_time() -> None:
    assert best_interval(1e-6, 3600) == SHORTEST_S


def test_the_default_follows_the_measured_cost() -> None:
    schedule, here = CheckpointSchedule(CheckpointConfig()), Boundary(100, final=False)
    assert not schedule.is_due(here, 119.0, 0.0)
    assert schedule.is_due(here, 121.0, 0.0)
    assert schedule.is_due(here, 39.0, 0.05)
    assert not schedule.is_due(here, 300.0, 5.0)


def test_minutes_are_wall_clock_time() -> None:
    schedule, here = (
        CheckpointSchedule(CheckpointConfig(every_minutes=2)),
        Boundary(100, final=False),
    )
    assert not schedule.is_due(here, 119.0, 0.1)
    assert schedule.is_due(here, 120.0, 0.1)


def test_steps_and_minutes_together_are_refused(tmp_path: Path) -> None:
    overrides = ("checkpoint={every_steps: 5, every_minutes: 1}",)
    with pytest.raises(ConfigError, match="either every_steps or every_minutes"):
        tiny_config(tmp_path, overrides=overrides)


def test_how_often_checkpoints_are_written_does_not_change_the_result(tmp_path: Path) -> None:
    runs = [
        train(tiny_config(tmp_path, overrides=(f"checkpoint={{{given}}}",)), run_id=run_id).run_dir
        for run_id, given in (("often", "every_minutes: 0.000001"), ("default", "keep_last: 9"))
    ]
    counts = [len(list((run / "checkpoints").iterdir())) for run in runs]
    assert counts == [3, 1]
    assert fingerprint(runs[0]) == fingerprint(runs[1])
    assert load(runs[1] / "config.yaml").checkpoint.every_steps is None
