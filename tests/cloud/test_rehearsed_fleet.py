"""A rehearsed fleet: real scripts, agents and trainers on an emulated AWS."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from roboyard.cloud.rehearsal.rehearse import Rehearsal, rehearse
from roboyard.config.load import load
from roboyard.config.schema import ExperimentConfig
from roboyard.training.trainer import Trainer

WEIGHTS = "policy.safetensors"


def tiny(folder: Path, *, steps: int, **env: object) -> ExperimentConfig:
    return load(
        {
            "name": "tiny",
            "store": str(folder),
            "env": {"id": "roboyard/SimpleRobot-v0", "num_envs": 2, **env},
            "agent": {
                "algorithm": "PPO",
                "backend": "torch",
                "hyperparameters": {"n_steps": 64, "batch_size": 64, "n_epochs": 1},
                "network": {"actor": [8], "critic": [8]},
            },
            "train": {"total_steps": steps, "threads": 1},
            "evaluation": {"during_training": False, "final_episodes": 2, "num_envs": 2},
            "checkpoint": {"every_steps": 1024},
            "tracking": {"every_steps": 128},
            "video": {"final": False},
        }
    )


def weights(bundle: Path) -> str:
    with zipfile.ZipFile(bundle) as content:
        return hashlib.sha256(content.read(WEIGHTS)).hexdigest()


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rehearsal, str]:
    folder = tmp_path_factory.mktemp("rehearsal")
    config = tiny(folder / "runs", steps=8_192)
    found = rehearse(config, folder / "fleet", notices=(20.0, None), every_s=0.3, seed=1)
    Trainer(config, run_id="local", progress=False).train()
    return found, weights(folder / "runs/tiny/local/policy/last.zip")


def test_interrupted_twice_a_run_ends_with_the_weights_of_one_left_in_peace(rehearsed) -> None:
    found, undisturbed = rehearsed
    assert [it.notice_s for it in found.interruptions] == [20.0, None]
    assert [result["weights_sha256"] for result in found.results] == [undisturbed]


def test_a_notice_costs_no_step(rehearsed) -> None:
    assert rehearsed[0].interruptions[0].repeated == 0


def test_every_lost_instance_is_replaced_and_none_is_left_once_the_fleet_is_cancelled(
    rehearsed,
) -> None:
    found, _ = rehearsed
    assert found.instances == 3
    assert found.instances_left == 0
    assert found.is_cancelled
    assert found.is_good


def test_the_last_line_says_what_came_of_it(rehearsed) -> None:
    line = rehearsed[0].summary()
    assert line.startswith("runs done: 1 of 1; interruptions: 2; steps repeated with notice: 0.0")
    assert "left: 0; fleet cancelled" in line


def test_a_run_that_fails_again_and_again_cancels_its_fleet(tmp_path: Path) -> None:
    config = tiny(tmp_path, steps=1024, kwargs={"no_such_setting": 1})
    found = rehearse(config, tmp_path / "fleet", notices=())
    assert found.is_cancelled
    assert found.instances_left == 0
    assert not found.results
    assert not found.is_good
