"""A continued run says which run it continues, and what it changes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_runs import tiny_config, train

from roboyard.evaluation.report import write_report
from roboyard.runs.directory import RunDirectory
from roboyard.runs.resume import changes_of


def test_more_steps_are_named_where_the_user_looks_in_the_log_and_in_the_report(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fewer = ("evaluation.during_training=false", "evaluation.final_episodes=1")
    short = train(tiny_config(tmp_path, overrides=("train.total_steps=64", *fewer)), run_id="a")
    config = tiny_config(tmp_path, overrides=("train.total_steps=96", *fewer))
    train(config, resume_from=short.run_dir)
    said = "train.total_steps: 64 -> 96"
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert f"this continuation changes {said}." in warned
    assert said in (short.run_dir / "train.log").read_text()
    write_report(RunDirectory(short.run_dir))
    report = (short.run_dir / "report" / "report.md").read_text()
    assert f"- `{said}`" in report
    assert "It was continued from step 64 with:" in report
    train(config, resume_from=short.run_dir)
    assert caplog.text.count(f"this continuation changes {said}.") == 1


def test_a_schedule_that_more_steps_stretch_is_named(tmp_path: Path) -> None:
    rate = "agent.hyperparameters.learning_rate={type: linear, start: 0.001}"
    before, after = (
        tiny_config(tmp_path, overrides=(rate, f"train.total_steps={steps}"))
        for steps in (192, 384)
    )
    assert "the schedule of learning_rate" in changes_of(before, after)[-1]
    assert changes_of(before, before) == []
