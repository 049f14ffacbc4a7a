"""An experiment on a real local Ray: killed, continued, and compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tuning_studies import BASE, Study, segments, weights

COMMAND = [sys.executable, "-c", "from roboyard.cli import main; main()", "experiment", "run"]
LONG = BASE.replace("total_steps: 1280", "total_steps: 3840")


def start(source: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, str(source), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def await_checkpoint(folder: Path, process: subprocess.Popen[str]) -> Path:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        found = list(folder.glob("*/checkpoints/*/MANIFEST.json"))
        if found:
            return found[0].parent.parent.parent
        time.sleep(0.02)
    process.kill()
    raise AssertionError(process.communicate()[0])


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_killed_with_its_driver_an_experiment_goes_on_from_its_store_alone(
    study: Study, tmp_path: Path
) -> None:
    (tmp_path / "base.yaml").write_text(LONG)
    source = study("seeds: [0, 1]")
    process = start(source)
    await_checkpoint(tmp_path / "runs" / "study", process)
    family = psutil.Process(process.pid).children(recursive=True)
    started = [child for child in family if "train" in child.cmdline()]
    assert started
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(started, timeout=60)
    assert not alive, "nothing that a run started outlives its driver"

    for name in ("study.yaml", "base.yaml"):
        (tmp_path / name).unlink()
    process = start(tmp_path / "runs" / "study", "--resume")
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 0, out
    assert "2 of 2 runs finished" in out

    assert json.loads((tmp_path / "runs/study/default-s0/status.json").read_text())["step"] >= 3840
    starts = {name: segments(tmp_path / "runs/study" / name) for name in weights_of(tmp_path)}
    assert any(len(steps) > 1 and steps[-1] > 0 for steps in starts.values()), starts
    assert weights_of(tmp_path) == by_hand(tmp_path, study)
    report = tmp_path / "runs" / "study" / "report"
    assert "2 of 2" in (report / "comparison.md").read_text()
    assert (report / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert len((report / "runs.csv").read_text().splitlines()) == 3


def weights_of(folder: Path) -> dict[str, str]:
    return weights(folder / "runs", "study")


def by_hand(folder: Path, study: Study) -> dict[str, str]:
    """Train the same runs with the ordinary command, undisturbed."""
    (folder / "base.yaml").write_text(LONG)
    for seed in (0, 1):
        settings = ["--set", f"seed={seed}", "--set", "name=study", "--set", "store=hand"]
        subprocess.run(
            [
                *COMMAND[:3],
                "train",
                "base.yaml",
                "--quiet",
                "--run-id",
                f"default-s{seed}",
                *settings,
            ],
            check=True,
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    return weights(folder / "hand", "study")


@pytest.mark.timeout(200)
def test_stopped_by_sigterm_every_run_has_a_checkpoint_and_bad_runs_are_not_repeated(
    study: Study, tmp_path: Path
) -> None:
    (tmp_path / "base.yaml").write_text(LONG)
    # An environment that does not exist is known only when the run starts.
    source = study("variants: {good: {}, bad: {env.kwargs: {nonsense: 1}}}")
    process = start(source)
    run = await_checkpoint(tmp_path / "runs" / "study", process)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=150)
    assert process.returncode == 75, out
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "interrupted" and status["last_checkpoint"] > 0
    assert out.count("bad-s0: failed") <= 1
