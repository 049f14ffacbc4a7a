"""Small experiments for the tests of tuning."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

BASE = """
name: tiny
env: {id: roboyard/SimpleRobot-v0, num_envs: 2}
agent:
  algorithm: PPO
  hyperparameters: {n_steps: 32, batch_size: 32, n_epochs: 1}
  network: {actor: [8], critic: [8]}
train: {total_steps: 1280, threads: 1}
evaluation: {episodes: 2, final_episodes: 2, num_envs: 2, every_steps: 640}
checkpoint: {every_steps: 128}
tracking: {tensorboard: false}
video: {final: false}
"""

Study = Callable[[str], Path]


def weights(store: Path, name: str) -> dict[str, str]:
    """Return the SHA-256 of every run's final weights, by run id."""
    found = {}
    for path in sorted((store / name).glob("*/results/*.json")):
        found[path.parent.parent.name] = json.loads(path.read_text())["policy_sha256"]
    return found


def segments(run: Path) -> list[int]:
    """Return the step at which each process of a run began."""
    record = json.loads((run / "provenance.json").read_text())
    return [int(segment["from_step"]) for segment in record["segments"]]
