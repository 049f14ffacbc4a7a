"""A run that is killed between any two of its writes ends as the run that was left in peace."""

from __future__ import annotations

from pathlib import Path

import pytest

from roboyard.config.load import load
from roboyard.config.schema import ExperimentConfig
from roboyard.testing.chaos.each_write import kill_at_each_write


def tiny(algorithm: str, steps: int) -> ExperimentConfig:
    own = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}
    if algorithm == "SAC":
        own = {"learning_starts": 20, "buffer_size": 150, "batch_size": 16}
    return load(
        {
            "name": "tiny",
            "env": {"id": "roboyard/SimpleRobot-v0", "num_envs": 2, "workers": 0},
            "agent": {
                "algorithm": algorithm,
                "hyperparameters": own,
                "network": {"actor": [8], "critic": [8]},
            },
            "train": {"total_steps": steps, "threads": 1},
            "checkpoint": {"every_steps": 64},
            "evaluation": {"every_steps": 64, "episodes": 1, "final_episodes": 1, "num_envs": 1},
            "tracking": {"every_steps": 64},
            "video": {"final": False},
        }
    )


def test_a_few_crash_points_of_a_short_run_change_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    config = tiny("PPO", 128)
    report = kill_at_each_write(config, tmp_path, every=100, first=7, tell=told.append)
    assert report.is_identical, told
    assert report.points > 80
    assert report.kills[:2] == (7, 107)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["PPO", "SAC"])
def test_no_crash_point_of_a_run_of_200_steps_changes_anything(
    algorithm: str, tmp_path: Path
) -> None:
    told: list[str] = []
    report = kill_at_each_write(tiny(algorithm, 200), tmp_path, tell=told.append)
    assert report.is_identical, told
