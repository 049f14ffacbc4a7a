"""Bundles as training makes them, from the file to the answered request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from server_process import ServerProcess
from stable_baselines3.common.vec_env import DummyVecEnv

from roboyard.agents import build_agent
from roboyard.policies import ObservationNormalizer, PolicyBundle, load_policy
from roboyard.policies.export import finalize
from roboyard.serving import Client
from roboyard.testing.agent_configs import small_agent, small_experiment
from roboyard.testing.fake_envs import FORCE, MIXED, VECTOR, FakeEnv

Start = Callable[..., ServerProcess]
torch.set_num_threads(1)


def make(path: Path, algorithm: str, observation_space: object = VECTOR) -> Path:
    """Write a bundle with its graph."""
    config = small_experiment(small_agent(algorithm))
    env = DummyVecEnv([lambda: FakeEnv(observation_space, FORCE)])  # type: ignore[arg-type]
    normalizer = None
    if observation_space is VECTOR:
        normalizer = ObservationNormalizer([0.1, 0.2, 0.3], [1.0, 2.0, 3.0])
    path.parent.mkdir(parents=True, exist_ok=True)
    PolicyBundle.write(
        path,
        policy=build_agent(config.agent, env, seed=3).policy,
        config=config,
        normalizer=normalizer,
        observation_space=observation_space,  # type: ignore[arg-type]
        action_space=FORCE,
        provenance={"seed": 3},
    )
    finalize.export(path, make_env=lambda: FakeEnv(observation_space, FORCE))  # type: ignore[arg-type]
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    make(folder / "run" / "policy" / "best.zip", "PPO")
    make(folder / "memory.zip", "RecurrentPPO")
    make(folder / "mixed.zip", "SAC", MIXED)
    return folder


def test_served_actions_are_those_of_the_trained_network(start: Start, folder: Path) -> None:
    server = start(
        f"plain={folder / 'run'}",
        f"memory={folder / 'memory.zip'}",
        f"mixed={folder / 'mixed.zip'}",
    )
    plain, mixed = load_policy(folder / "run"), load_policy(folder / "mixed.zip")
    env = FakeEnv(MIXED, FORCE)
    observation, _ = env.reset(seed=0)
    source = np.random.default_rng(0)
    with Client(server.address) as client:
        batch = source.normal(size=(20, 3)).astype(np.float32)
        expected = plain.predict(batch).actions
        np.testing.assert_allclose(client.act("plain", batch).actions, expected, atol=1e-5)
        expected = mixed.predict(observation).actions
        np.testing.assert_allclose(client.act("mixed", observation).actions, expected, atol=1e-5)

        memory = load_policy(folder / "memory.zip")
        state = None
        with client.open_session("memory") as session:
            for step in range(12):
                one = source.normal(size=(1, 3)).astype(np.float32)
                begins = np.array([step % 5 == 0])
                expected, state = memory.predict(one, state, begins)
                found = session.act(one, episode_start=begins).actions
                np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_seed_samples_each_row_the_same_whatever_else_is_in_the_batch(
    start: Start, folder: Path
) -> None:
    server = start(folder / "run")
    rows = np.zeros((3, 3), np.float32)
    with Client(server.address) as client:
        name = str(client.policies()[0]["name"])
        batch = client.act(name, rows, seed=7).actions
        alone = [client.act(name, rows[0], seed=seed).actions for seed in (7, 8, 9)]
        likeliest = client.act(name, rows).actions
    np.testing.assert_allclose(batch, alone, atol=1e-6)
    assert not np.allclose(batch, likeliest)
    assert not np.allclose(batch[0], batch[1])
