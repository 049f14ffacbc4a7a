import json
import shlex

import numpy as np
import pytest
from PIL import Image

from roboyard.evaluation.curve import smoothed, thousands
from roboyard.evaluation.page import duration
from roboyard.evaluation.report import write_report
from roboyard.evaluation.statistics import summarize
from roboyard.runs.directory import RunDirectory

CONFIG = """
name: cartpole
seed: 3
env: {id: roboyard/SimpleRobot-v0}
agent: {algorithm: PPO}
train: {total_steps: 4000}
early_stop: {return_threshold: 480.0}
"""


def evaluation(step, level, success_rate=None):
    returns = [level, level + 1.0, level + 2.0, level + 5.0]
    summary = summarize(returns)._asdict()
    row = {"step": step, "returns": returns, "lengths": [1] * 4, **summary}
    return {**row, "success_rate": success_rate, "wall_s": 0.1, "is_best": True}


def write_lines(path, rows, end=""):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + end)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "cartpole" / "r1"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG)
    status = {"state": "finished", "step": 4000, "reason": "all steps are done"}
    (folder / "status.json").write_text(json.dumps(status))
    segment = {
        "from_step": 0,
        "command": ["/somewhere/bin/roboyard", "train", "my configs/cartpole.yaml"],
        "versions": {"python": "3.11.7", "torch": "2.13.0"},
        "git_revision": "0123abc",
    }
    (folder / "provenance.json").write_text(json.dumps({"segments": [segment]}))
    write_lines(
        folder / "metrics.jsonl",
        [{"step": s, "time_s": s / 100, "rollout/return_mean": s / 10} for s in range(0, 4001, 50)],
    )
    write_lines(
        folder / "evaluations.jsonl",
        [evaluation(1000, 100.0), evaluation(2000, 450.0), evaluation(4000, 300.0)],
    )
    return RunDirectory(folder)


def test_a_report_holds_curve_summary_and_page(run):
    report = write_report(run)
    with Image.open(report.curve) as picture:
        assert picture.size == (1200, 700)
        assert len(np.unique(np.asarray(picture).reshape(-1, 4), axis=0)) > 50
    summary = json.loads(report.summary.read_text())
    assert summary["best"]["step"] == 2000
    assert summary["best"]["mean"] == 452.0
    assert summary["last"]["step"] == 4000
    assert summary["steps"] == 4000
    assert summary["time_s"] == 40.0
    assert summary["versions"]["torch"] == "2.13.0"
    assert sorted(file.name for file in run.report.iterdir()) == [
        "curve.png",
        "report.md",
        "summary.json",
    ]


def test_the_page_has_the_results_and_how_to_repeat_them(run):
    run.videos.mkdir()
    (run.videos / "best.mp4").touch()
    page = write_report(run).page.read_text()
    assert page.startswith("# cartpole\n")
    assert "![Return against control steps](curve.png)" in page
    assert "| 2,000 (best) | 452.0 |" in page
    assert "roboyard train 'my configs/cartpole.yaml'" in page
    assert "/somewhere" not in page
    assert shlex.join(["roboyard", "train", str(run.path / "config.yaml")]) in page
    assert "| torch | 2.13.0 |" in page
    assert "[best.mp4](../videos/best.mp4)" in page
    assert "success" not in page


def test_the_same_files_give_the_same_report(run):
    first = [path.read_bytes() for path in write_report(run)]
    assert [path.read_bytes() for path in write_report(run)] == first


def test_the_final_evaluation_is_reported(run):
    final = {"policy": "best", **evaluation(2000, 470.0)}
    (run.path / "final_evaluation.json").write_text(json.dumps(final))
    report = write_report(run)
    assert json.loads(report.summary.read_text())["final"]["mean"] == 472.0
    assert "Best policy at the end" in report.page.read_text()


def test_success_rates_are_reported_where_there_are_some(run):
    write_lines(run.evaluations_file, [evaluation(1000, 1.0, 0.25)])
    assert "success 25%" in write_report(run).page.read_text()


@pytest.mark.parametrize("end", ['{"step": 50', '{"step": 5000, "mean": null}\n', "\x00\n", "\n"])
def test_a_torn_or_empty_last_line_is_skipped(run, end):
    for file in (run.evaluations_file, run.metrics_file):
        file.write_text(file.read_text() + end)
    summary = json.loads(write_report(run).summary.read_text())
    assert summary["evaluations"] == 3


@pytest.mark.parametrize(
    "missing",
    [
        ["evaluations.jsonl"],
        ["metrics.jsonl"],
        ["evaluations.jsonl", "metrics.jsonl"],
        ["config.yaml", "status.json", "provenance.json"],
    ],
)
def test_missing_files_leave_gaps_and_no_errors(run, missing):
    for name in missing:
        (run.path / name).unlink()
    report = write_report(run)
    assert report.curve.stat().st_size > 1000
    if "evaluations.jsonl" in missing:
        assert json.loads(report.summary.read_text())["best"] is None
        assert "None yet." in report.page.read_text()


def test_a_long_history_is_thinned_out_and_keeps_the_best(run):
    rows = [evaluation(step, 100.0 + (step == 37)) for step in range(1, 101)]
    write_lines(run.evaluations_file, rows)
    page = write_report(run).page.read_text()
    assert page.count("\n| ") < 50
    assert "| 37 (best) |" in page
    assert "of 100 are shown" in page


def test_one_evaluation_is_enough_for_a_curve(run):
    write_lines(run.evaluations_file, [evaluation(4000, 10.0)])
    assert write_report(run).curve.exists()


def test_a_continued_run_says_from_where(run):
    segments = [{"from_step": 0, "command": ["roboyard"]}, {"from_step": 2000}]
    (run.path / "provenance.json").write_text(json.dumps({"segments": segments}))
    page = write_report(run).page.read_text()
    assert "continued 1 time(s) without a change, from step 2000" in page


def test_smoothing_is_a_centred_mean_that_shrinks_at_the_ends():
    assert smoothed([0.0, 3.0, 6.0, 0.0], 3).tolist() == [1.5, 3.0, 3.0, 3.0]
    assert smoothed([5.0], 9).tolist() == [5.0]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (20_000, "20k"), (1_250_000, "1.25M"), (2e9, "2G")]
)
def test_steps_are_written_short(value, text):
    assert thousands(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(12, "12 s"), (200, "3 min 20 s"), (3720, "1 h 02 min")]
)
def test_durations_are_written_for_people(seconds, text):
    assert duration(seconds) == text
