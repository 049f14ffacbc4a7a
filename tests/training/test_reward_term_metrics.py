"""What each term of a task's reward adds is written by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roboyard.config.load import load
from roboyard.training.trainer import Trainer

CONFIG = {
    "name": "terms",
    "env": {"id": "hopper-run", "num_envs": 2, "workers": 0, "max_episode_steps": 16},
    "agent": {
        "algorithm": "PPO",
        "hyperparameters": {"n_steps": 32, "batch_size": 32, "n_epochs": 1},
        "network": {"actor": [8], "critic": [8]},
    },
    "train": {"total_steps": 128, "threads": 1, "device": "cpu"},
    "evaluation": {"during_training": False, "final_episodes": 1},
    "video": {"final": False},
}


def test_shares_of_reward_terms_add_up_to_the_return(tmp_path: Path) -> None:
    result = Trainer(load({**CONFIG, "store": str(tmp_path)})).train()
    rows = [json.loads(line) for line in (result.run_dir / "metrics.jsonl").read_text().split("\n")
            if line]  # fmt: skip
    shares = {name: value for name, value in rows[-1].items() if name.startswith("reward/")}
    assert list(shares) == [
        "reward/alive",
        "reward/progress",
        "reward/electricity",
        "reward/stall",
        "reward/joints_at_limit",
    ]
    assert shares["reward/alive"] > 0 > shares["reward/stall"]
    assert sum(shares.values()) == pytest.approx(rows[-1]["rollout/return_mean"], rel=1e-4)
