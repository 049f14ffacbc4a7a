"""The command line in this process, exactly as the console script runs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from roboyard.cli.app import run

CONFIG = """
name: tiny
seed: 3
env: {id: roboyard/SimpleRobot-v0, num_envs: 2}
agent:
  algorithm: PPO
  hyperparameters: {n_steps: 32, batch_size: 32, n_epochs: 1}
  network: {actor: [8], critic: [8]}
train: {total_steps: 128, threads: 1}
evaluation: {episodes: 2, final_episodes: 2, num_envs: 2, every_steps: 64}
checkpoint: {every_steps: 64}
video: {final: false}
"""


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture(scope="session")
def tiny_config() -> str:
    """Return the text of a config that trains for a moment."""
    return CONFIG


@pytest.fixture
def roboyard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run ``roboyard ARGS...`` in an empty folder that holds ``tiny.yaml``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "tiny.yaml").write_text(CONFIG)

    def command(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["roboyard", *arguments])
        capsys.readouterr()
        try:
            run()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Outcome(code, *capsys.readouterr())

    return command
