"""Pictures are never normalised: the network scales them, and keeps its convolutions."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from roboyard.agents.factory import build_agent
from roboyard.config.load import load
from roboyard.config.schema import ExperimentConfig
from roboyard.testing.fake_envs import IMAGE, MIXED, FakeEnv
from roboyard.training.envs.stack import make_training_envs

CHOICE = spaces.Discrete(3)
SPACES: dict[str, spaces.Space[Any]] = {
    "mixed": MIXED,
    "alone": IMAGE,
    "first": spaces.Box(0, 255, (3, 40, 36), np.uint8),
    "choice": CHOICE,
}


def make(kind: str, render_mode: str | None = None) -> FakeEnv:
    return FakeEnv(SPACES[kind])


def config_of(kind: str, algorithm: str, **normalize: bool) -> ExperimentConfig:
    small = {"learning_starts": 8, "batch_size": 4, "buffer_size": 40}
    hyperparameters = {"n_steps": 8, "batch_size": 8} if algorithm == "PPO" else small
    return load({
        "name": "pictures",
        "env": {"id": f"{__name__}:make", "kwargs": {"kind": kind}, "num_envs": 2, "workers": 0,
                "normalize": normalize},
        "agent": {"algorithm": algorithm, "hyperparameters": hyperparameters,
                  "network": {"actor": [8], "critic": [8]}},
        "train": {"total_steps": 20},
    })  # fmt: skip


@pytest.mark.parametrize("kind", ["mixed", "alone", "first"])
@pytest.mark.parametrize("algorithm", ["PPO", "SAC"])
def test_agents_that_see_keep_their_convolutions_and_learn(kind: str, algorithm: str) -> None:
    config = config_of(kind, algorithm, observations=True, rewards=True)
    venv = make_training_envs(config)
    try:
        agent = build_agent(config.agent, venv, seed=0)
        assert any(isinstance(module, torch.nn.Conv2d) for module in agent.policy.modules())
        agent.learn(20)
        seen = agent._last_obs
        assert seen is not None
        picture = seen["camera"] if isinstance(seen, dict) else seen
        assert picture.dtype == np.uint8
    finally:
        venv.close()


def test_numbers_beside_a_picture_are_normalised() -> None:
    venv = make_training_envs(config_of("mixed", "PPO", observations=True))
    try:
        assert list(venv.obs_rms) == ["joints"]
    finally:
        venv.close()


@pytest.mark.parametrize("kind", ["alone", "choice"])
def test_normalising_nothing_is_told(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        make_training_envs(config_of(kind, "PPO", observations=True)).close()
    assert "env.normalize.observations has no effect" in caplog.text
