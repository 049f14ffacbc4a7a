"""Two agents with different settings live in one process, and change nothing else in it."""

import threading

import jax
import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv
from torch.distributions import Distribution

from roboyard.agents import build_agent
from roboyard.agents.backends import refresh_policy, set_up_learner
from roboyard.testing.agent_configs import small_agent
from roboyard.testing.fake_envs import FakeEnv

WIDE = {"actor": [256, 256], "critic": [256, 256]}
SETTINGS = {
    "one": ({"use_sde": True}, 1),
    "two": ({"learning_rate": 1e-2}, 2),
}
NAMES = ["PPO", "SAC"]


def build(name, backend, setting):
    hyperparameters, threads = SETTINGS[setting]
    more = {"n_steps": 64, "batch_size": 64} if name == "PPO" else {"batch_size": 64}
    agent = build_agent(
        small_agent(name, backend=backend, network=WIDE, hyperparameters=more | hyperparameters),
        DummyVecEnv([FakeEnv]),
        seed=3,
    )
    agent.set_logger(Logger(None, []))
    set_up_learner(agent, threads)
    return agent


def learn(agent):
    """Fill the buffer with what depends on the agent alone, and learn from it, twice."""
    generators = np.random.get_state(), torch.get_rng_state()
    agent.set_random_seed(1)
    train, agent.train = agent.train, lambda *_, **__: None
    agent.learn(64)
    agent.train = train
    agent.train() if hasattr(agent, "rollout_buffer") else agent.train(4, 64)
    np.random.set_state(generators[0])
    torch.set_rng_state(generators[1])


def weights(agent):
    refresh_policy(agent)
    return {name: value.clone() for name, value in agent.policy.state_dict().items()}


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize("name", NAMES)
def test_what_an_agent_learns_does_not_depend_on_another_beside_it(name, backend):
    alone = {}
    for setting in SETTINGS:
        agent = build(name, backend, setting)
        learn(agent)
        alone[setting] = weights(agent)
    threads = torch.get_num_threads()
    agents = {setting: build(name, backend, setting) for setting in SETTINGS}
    for agent in agents.values():
        learn(agent)
    for setting, agent in agents.items():
        for key, value in weights(agent).items():
            assert torch.equal(value, alone[setting][key]), (setting, key)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize("name", NAMES)
def test_an_update_leaves_the_checks_and_threads_of_others_alone(name, backend):
    seen, stop = set(), threading.Event()

    def look():
        while not stop.is_set():
            seen.add(Distribution._validate_args)

    agent, before = build(name, backend, "two"), jax.config.values["jax_platforms"]
    torch.set_num_threads(1)
    thread = threading.Thread(target=look)
    thread.start()
    try:
        learn(agent)
    finally:
        stop.set()
        thread.join()
    assert seen == {True}
    assert torch.get_num_threads() == 1
    assert jax.config.values["jax_platforms"] == before


def test_arrays_of_whoever_else_uses_jax_outlive_a_learner():
    mine = jax.numpy.ones(3)
    for setting in SETTINGS:
        learn(build("PPO", "jax", setting))
    assert mine.sum() == 3
