"""Run directories, checkpoints and bundles of earlier versions still load and go on.

The archives in ``tests/data`` were written by the version before engines stood behind ``sim/``.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from roboyard.cli.app import app
from roboyard.policies import load_policy

LONG = {"final_episodes: 20": "final_episodes: 1", "  final: true": "  final: false"}
"""What takes long at the end of a run and is no part of the claim."""
DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(params=["cartpole", "yamltask"])
def old_run(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    run = tmp_path / "runs" / request.param / "old"
    run.mkdir(parents=True)
    with tarfile.open(DATA / f"old_{request.param}.tar.gz") as archive:
        archive.extractall(run, filter="data")
    config = run / "config.yaml"
    text = config.read_text()
    for long, short in LONG.items():
        assert long in text
        text = text.replace(long, short)
    config.write_text(text)
    return run


def test_an_old_run_goes_on_from_its_checkpoint(
    old_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(old_run.parent.parent.parent)
    arguments = ["train", str(old_run), "--resume", "--quiet", "--set", "train.total_steps=128"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    status = json.loads((old_run / "status.json").read_text())
    assert (status["state"], status["step"]) == ("finished", 128)


def test_an_old_bundle_acts(old_run: Path) -> None:
    policy = load_policy(old_run / "policy" / "last.zip")
    size = policy.observation_space.shape
    action, _ = policy.predict(np.zeros(size, np.float32), deterministic=True)
    assert np.isfinite(action).all()
