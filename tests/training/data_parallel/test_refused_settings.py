"""What several processes cannot train is refused in one line, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_runs import tiny_config, train

from roboyard.errors import ConfigError
from roboyard.resources import available_cores
from roboyard.training.data_parallel import launch


@pytest.mark.parametrize(
    ("algorithm", "overrides", "message"),
    [
        ("PPO", ["train.data_parallel.workers=0"], "train.data_parallel.workers"),
        ("PPO", ["train.data_parallel.workers=two"], "train.data_parallel.workers"),
        ("PPO", ["train.data_parallel.workers=3"], "equal shares of env.num_envs"),
        ("PPO", ["train.data_parallel.workers=4"], "equal shares of env.num_envs"),
        ("TRPO", ["train.data_parallel.workers=2"], "TRPO trains in one process"),
        ("TQC", ["train.data_parallel.workers=2"], "TQC trains in one process"),
        ("PPO", ["train.data_parallel.workers=2", "agent.backend=jax"], "jax trains in one"),
        ("PPO", ["train.data_parallel.workers=2", "train.device=cuda"], "live on the CPU"),
        (
            "SAC",
            ["train.data_parallel.workers=2", "agent.hyperparameters.batch_size=1"],
            "at least the 2 workers",
        ),
    ],
)
def test_wrong_settings_are_refused_when_they_are_read(
    tmp_path: Path, algorithm: str, overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny_config(tmp_path, algorithm, tuple(overrides))
    assert list(tmp_path.iterdir()) == []


def test_more_workers_than_cores_are_refused(tmp_path: Path) -> None:
    workers = available_cores() + 1
    shared = (f"train.data_parallel.workers={workers}", f"env.num_envs={workers}")
    config = tiny_config(tmp_path, "A2C", shared)
    with pytest.raises(ConfigError, match=f"may use {workers - 1} cores"):
        train(config)


def test_another_number_of_processes_than_a_launcher_started_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "3", "MASTER_ADDR": "x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_PORT", "1")
    config = tiny_config(tmp_path, "A2C", ("train.data_parallel.workers=2",))
    with pytest.raises(ConfigError, match=r"one of 3 .* train\.data_parallel\.workers=3"):
        train(config)


def test_a_process_that_nobody_launched_leads() -> None:
    assert not launch.is_follower()
