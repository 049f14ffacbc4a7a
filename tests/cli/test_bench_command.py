"""``roboyard bench``: what is fastest here, what it costs elsewhere, and nothing left behind."""

from __future__ import annotations

import json
import os
import tempfile
import time

import gymnasium
import numpy as np
import psutil
import pytest
import torch

from roboyard.bench import search
from roboyard.config.load import load
from roboyard.evaluation.breakdown import PHASES


class Slow(gymnasium.Env):
    """Takes its time."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(3, np.float32), {}

    def step(self, action):
        time.sleep(0.02)
        return np.zeros(3, np.float32), 0.0, False, False, {}


@pytest.fixture
def temporary(tmp_path_factory, monkeypatch):
    """An empty folder for temporary files."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_it_measures_says_what_is_best_and_leaves_nothing(roboyard, tmp_path, temporary):
    threads, children = torch.get_num_threads(), psutil.Process().children()
    outcome = roboyard("bench", "tiny.yaml", "--seconds", "3", "--prices", "--json", "out.json")
    assert outcome.code == 0
    assert sorted(os.listdir(tmp_path)) == ["out.json", "tiny.yaml"]
    assert [name for name in os.listdir(temporary) if "roboyard" in name] == []
    assert psutil.Process().children() == children
    assert torch.get_num_threads() == threads

    report = json.loads((tmp_path / "out.json").read_text())
    own = report["settings"][0]
    assert own["set"] == [] and own["num_envs"] == 2 and own["steps_per_s"] > 0
    assert set(own["phases"]) == set(PHASES)
    for row in report["settings"]:
        load("tiny.yaml", row["set"])  # can be pasted
    load("tiny.yaml", report["best"])
    # What there was no time for is said.
    assert len(report["settings"]) + len(report["notes"]) >= 3
    assert f"Device cpu: {own['device_reason']}." in outcome.out
    assert "Best: " in outcome.out

    cheapest = report["costs"][0]
    rate = report["steps_per_core_s"] * cheapest["cores"]
    spot = cheapest["spot"] / (rate * 3600) * 1e6
    assert cheapest["spot_per_million_steps"] == pytest.approx(spot)
    assert "cost per million steps = price per hour / (steps/s x 3600) x 1e6" in outcome.out
    assert "It assumes cores as fast as this machine's" in outcome.out
    assert outcome.out.count("2026-07-20") > 10


def test_off_policy_algorithms_are_measured_while_they_learn(roboyard, tmp_path):
    text = (tmp_path / "tiny.yaml").read_text().replace("algorithm: PPO", "algorithm: SAC")
    text = text.replace("{n_steps: 32, batch_size: 32, n_epochs: 1}", "{learning_starts: 10_000}")
    text = text.replace("total_steps: 128", "total_steps: 20_000")
    (tmp_path / "sac.yaml").write_text(text)
    assert roboyard("bench", "sac.yaml", "--seconds", "1", "--json", "out.json").code == 0
    phases = json.loads((tmp_path / "out.json").read_text())["settings"][0]["phases"]
    assert phases["learning"] > phases["physics"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "nowhere.yaml: no such file"),
        (["tiny.yaml", "--set", "env.num_env=3"], "num_envs"),
        (["tiny.yaml", "--price-table", "bad.csv"], "bad.csv:2: prices.0.cores: "),
        (["tiny.yaml", "--price-table", "none.csv"], "none.csv: no such file"),
        (["tiny.yaml", "--json", "no/where.json"], "there is no folder 'no'"),
        (["tiny.yaml", "--set", "env.id=Pendulum-v9"], "Pendulum-v9"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_measured(roboyard, tmp_path, arguments, message):
    (tmp_path / "bad.csv").write_text("type,cores,spot,date\nsmall,many,1,2026-11-01\n")
    outcome = roboyard("bench", *arguments)
    assert outcome.code == 2
    assert outcome.err.startswith(("error: ", "warning: "))
    assert message in outcome.err
    assert "steps/s" not in outcome.out


def test_a_config_that_is_too_slow_for_the_time_says_so(roboyard, temporary, monkeypatch):
    monkeypatch.setattr(search, "PATIENCE_S", 1.0)
    slow = ["--set", f"env.id={__name__}:Slow", "--set", "env.workers=0"]
    longer = ["--set", "agent.hyperparameters.n_steps=512"]
    outcome = roboyard("bench", "tiny.yaml", "--seconds", "1", *slow, *longer)
    assert outcome.code == 1
    assert "one rollout and update took more than 1 s. Give more time" in outcome.err
    assert [name for name in os.listdir(temporary) if "roboyard" in name] == []


def test_a_profiled_training_ends_with_its_table(roboyard):
    outcome = roboyard("train", "tiny.yaml", "--quiet", "--profile", "--set", "env.workers=0")
    assert outcome.code == 0
    assert "128 control steps at " in outcome.out
    lines = [line.split() for line in outcome.out.splitlines()]
    shares = {line[0]: line[1] for line in lines if line and line[0] in PHASES}
    assert set(shares) == set(PHASES)
    assert all(share.endswith("%") for share in shares.values())
