"""Environments that offer no snapshot repeat their episode to go on, or say that they cannot."""

from __future__ import annotations

import json
import logging
import signal
from pathlib import Path

import pytest
from test_exact_continuation import ONE_ENV, assert_killed_equals_whole
from training_runs import Dice, SignalAt, last_checkpoint, rows, tiny_config, train

from roboyard.runs.directory import RunDirectory

PENDULUM = ("env.id=Pendulum-v1",)
HOPPER = ("env.id=pybullet_envs_gymnasium:HopperBulletEnv-v0",)
DICE = (f"env.id={Dice.__module__}:Dice",)


def test_a_pendulum_killed_in_its_episodes_equals_the_uninterrupted_run(tmp_path: Path) -> None:
    longer = ("train.total_steps=512",)  # into the second episode, whose reset has no seed
    assert_killed_equals_whole(tmp_path, "PPO", PENDULUM + longer, kills=(70, 450))


@pytest.mark.slow
def test_a_hopper_in_worker_processes_killed_equals_the_uninterrupted_run(tmp_path: Path) -> None:
    pytest.importorskip("pybullet_envs_gymnasium")
    assert_killed_equals_whole(tmp_path, "PPO", (*HOPPER, "env.workers=2"))


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["SAC", "RecurrentPPO", "TQC"])
def test_every_kind_of_algorithm_continues_a_hopper_exactly(tmp_path: Path, algorithm: str) -> None:
    pytest.importorskip("pybullet_envs_gymnasium")
    assert_killed_equals_whole(tmp_path, algorithm, HOPPER + ONE_ENV)


def test_an_environment_that_does_not_repeat_itself_is_told_about_once_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny_config(tmp_path, overrides=DICE)
    stopped = train(config, run_id="a", callbacks=[SignalAt(70, signal.SIGTERM)])
    (note,) = RunDirectory(stopped.run_dir).read_status().notes
    assert note.startswith(
        f"a continuation would not be exact, because the environment '{Dice.__module__}:Dice' does "
        "not repeat itself (step 1 now gives the reward "
    )
    with caplog.at_level(logging.WARNING):
        result = train(config, resume_from=stopped.run_dir)
    assert result.steps == 192
    (note,) = RunDirectory(result.run_dir).read_status().notes
    assert f"the environment '{Dice.__module__}:Dice' does not repeat itself" in note
    told = [text for text in caplog.messages if "does not repeat itself" in text]
    assert [text.partition(",")[0] for text in told] == [
        "a continuation would not be exact",  # by the first process
        "not exact",
    ]
    assert any("at step 96, copy 0: step 1 now gives the reward" in t for t in caplog.messages)
    manifest = json.loads((last_checkpoint(result.run_dir) / "MANIFEST.json").read_text())
    assert manifest["exact"] is False
    steps = [row["step"] for row in rows(result.run_dir / "metrics.jsonl")]
    assert steps == sorted(set(steps))


def test_off_policy_with_new_episodes_goes_on(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "SAC", DICE + ONE_ENV)
    stopped = train(config, run_id="a", callbacks=[SignalAt(70, signal.SIGTERM)])
    assert train(config, resume_from=stopped.run_dir).steps == 192
