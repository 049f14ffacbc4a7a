"""A run that is killed again and again ends as the run that was left in peace."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from roboyard.errors import ConfigError
from roboyard.testing.chaos import FaultSchedule

CONFIG = """
name: tiny
env: {id: roboyard/SimpleRobot-v0, num_envs: 2}
agent:
  algorithm: PPO
  hyperparameters: {n_steps: 32, batch_size: 32, n_epochs: 1}
  network: {actor: [8], critic: [8]}
train: {total_steps: 768, threads: 1}
evaluation: {episodes: 2, final_episodes: 2, num_envs: 2}
checkpoint: {every_steps: 64}
"""


def run_chaos(folder: Path, *options: str) -> list[str]:
    (folder / "tiny.yaml").write_text(CONFIG)
    program = [sys.executable, "-c", "from roboyard.cli import main; main()"]
    done = subprocess.run(
        [*program, "chaos", "tiny.yaml", *options],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


IDENTICAL = {"final weights identical", "metrics identical", "evaluations identical"}


def test_the_table_says_that_the_killed_run_is_identical(tmp_path: Path) -> None:
    lines = run_chaos(tmp_path, "--kills", "every:0.3s", "--max-kills", "1")
    assert any(line.startswith(("kill", "term")) and " at step " in line for line in lines)
    assert set(lines) > IDENTICAL
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


@pytest.mark.slow
def test_a_full_disk_a_notice_and_a_bucket_that_stumbles_change_nothing(tmp_path: Path) -> None:
    pytest.importorskip("moto")
    faults = ("--faults", "notice,disk,s3", "--seed", "1")
    lines = run_chaos(tmp_path, "--kills", "every:0.3s", "--max-kills", "2", *faults)
    (told,) = [line for line in lines if line.startswith("faults ")]
    assert all(name in told for name in ("spot notice", "full disk", "S3 fault"))
    assert set(lines) > IDENTICAL


@pytest.mark.slow
def test_a_freeze_beyond_the_lease_changes_nothing(tmp_path: Path) -> None:
    lines = run_chaos(
        tmp_path, "--faults", "freeze", "--kills", "every:0.3s", "--max-kills", "1", "--seed", "1"
    )
    assert "faults 1 freeze beyond the lease" in lines
    assert set(lines) > IDENTICAL


@pytest.mark.slow
def test_damage_to_the_machines_copy_changes_nothing(tmp_path: Path) -> None:
    pytest.importorskip("moto")
    lines = run_chaos(
        tmp_path, "--faults", "corrupt", "--kills", "every:0.3s", "--max-kills", "3", "--seed", "2"
    )
    assert any(line.startswith("faults ") and "damaged copy" in line for line in lines)
    assert set(lines) > IDENTICAL


def test_the_same_seed_brings_the_same_blows() -> None:
    schedule = FaultSchedule.parse("poisson:5s", seed=4)
    draws = [[schedule.draw(random.Random(4)) for _ in range(2)] for _ in range(2)]
    assert draws[0] == draws[1]
    generator = random.Random(0)
    many = [schedule.draw(generator) for _ in range(2000)]
    assert sum(blow.after_s for blow in many) / len(many) == pytest.approx(5.0, rel=0.1)
    kills = [blow for blow in many if blow.fault == "kill"]
    assert len(kills) / len(many) == pytest.approx(0.75, abs=0.05)
    assert sum(blow.inside_write for blow in kills) / len(kills) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("text", ["5s", "poisson:", "poisson:0s", "daily:5s", "every:-1s"])
def test_a_schedule_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--kills .* is not understood\. Give .* poisson:5s"):
        FaultSchedule.parse(text)


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ("kil", r"there is no fault 'kil'\. Allowed: kill, term, .* Did you mean 'kill'\?"),
        ("s3", r"never ends a process\. Add one of: kill, term, notice, disk, freeze, corrupt\."),
        ("", r"never ends a process"),
    ],
)
def test_faults_that_make_no_sense_are_refused(faults: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FaultSchedule.parse("every:1s", faults=faults)


def test_minutes_are_understood() -> None:
    assert FaultSchedule.parse("every:2m").mean_s == 120
