"""A run that is killed again and again ends as the run that was left in peace."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from roboyard.errors import ConfigError
from roboyard.training.chaos import Kills

CONFIG = """
name: tiny
env: {id: roboyard/SimpleRobot-v0, num_envs: 2}
agent:
  algorithm: PPO
  hyperparameters: {n_steps: 32, batch_size: 32, n_epochs: 1}
  network: {actor: [8], critic: [8]}
train: {total_steps: 1536, threads: 1}
evaluation: {episodes: 2, final_episodes: 2, num_envs: 2}
checkpoint: {every_steps: 64}
"""


def test_the_table_says_that_the_killed_run_is_identical(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    program = [sys.executable, "-c", "from roboyard.cli import main; main()"]
    done = subprocess.run(
        [*program, "chaos", "tiny.yaml", "--kills", "every:0.3s", "--max-kills", "1"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert any(line.startswith(("SIGKILL at step", "SIGTERM at step")) for line in lines)
    assert "final weights identical" in lines
    assert "metrics and evaluations identical" in lines
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_the_same_seed_kills_at_the_same_moments() -> None:
    kills = Kills.parse("poisson:5s", seed=4)
    draws = [[kills.draw(random.Random(4)) for _ in range(2)] for _ in range(2)]
    assert draws[0] == draws[1]
    generator = random.Random(0)
    many = [kills.draw(generator) for _ in range(2000)]
    assert sum(gap for gap, _ in many) / len(many) == pytest.approx(5.0, rel=0.1)
    share = sum(number == signal.SIGTERM for _, number in many) / len(many)
    assert share == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("text", ["5s", "poisson:", "poisson:0s", "daily:5s", "every:-1s"])
def test_a_schedule_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--kills .* is not understood\. Give .* poisson:5s"):
        Kills.parse(text)


def test_minutes_are_understood() -> None:
    assert Kills.parse("every:2m").mean_s == 120
