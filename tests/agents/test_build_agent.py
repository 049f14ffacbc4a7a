"""Agents: every algorithm is built, learns, and is the same whenever the seed is."""

import copy
import logging
import random
import warnings

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO, HerReplayBuffer
from stable_baselines3.common.noise import OrnsteinUhlenbeckActionNoise, VectorizedActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv

from roboyard.agents import build_agent, build_policy
from roboyard.agents.schedules import Linear
from roboyard.config.algorithm_specs import ALGORITHMS, find_spec
from roboyard.errors import ConfigError
from roboyard.testing.agent_configs import ALGORITHM_NAMES, OFF_POLICY_NAMES, small_agent
from roboyard.testing.fake_envs import FORCE, GOAL, IMAGE, MIXED, VECTOR, FakeEnv


def make_env(observation_space=VECTOR, action_space=FORCE, copies=2):
    return DummyVecEnv([lambda: FakeEnv(observation_space, action_space)] * copies)


def weights(agent):
    return {name: value.clone() for name, value in agent.policy.state_dict().items()}


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize("name", ALGORITHM_NAMES)
@pytest.mark.parametrize("copies", [1, 3])
def test_every_algorithm_learns_in_one_and_in_several_environments(name, copies):
    agent = build_agent(small_agent(name), make_env(copies=copies), seed=0)
    agent.learn(24)
    assert agent.num_timesteps >= 24
    assert all(torch.isfinite(value).all() for value in agent.policy.parameters())


@pytest.mark.parametrize("name", ALGORITHM_NAMES)
def test_the_seed_alone_decides_the_initial_weights(name):
    first = weights(build_agent(small_agent(name), make_env(), seed=5))
    random.random(), np.random.rand(7), torch.rand(11)
    assert_equal(first, weights(build_agent(small_agent(name), make_env(), seed=5)))
    if name != "ARS":  # ARS starts from zero.
        other = weights(build_agent(small_agent(name), make_env(), seed=6))
        assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", ALGORITHM_NAMES)
def test_the_same_seed_twice_trains_to_the_same_bits(name):
    def train():
        env = make_env()
        env.seed(3)
        agent = build_agent(small_agent(name), env, seed=5)
        agent.learn(24)
        return weights(agent)

    first = train()
    random.random(), np.random.rand(7), torch.rand(11)
    assert_equal(first, train())


@pytest.mark.parametrize("name", ALGORITHM_NAMES)
def test_building_an_agent_leaves_the_seeds_of_the_environments_alone(name):
    env = make_env()
    env._seeds = [41, 42]
    build_agent(small_agent(name), env, seed=5)
    assert env._seeds == [41, 42]


READABLE = [
    (name, space)
    for name in ALGORITHM_NAMES
    for space in (VECTOR, IMAGE, MIXED)
    if not (space is MIXED and name in ("ARS", "CrossQ"))
]


@pytest.mark.parametrize(("name", "observation_space"), READABLE)
def test_the_network_alone_takes_the_weights_of_the_agent(name, observation_space):
    config = small_agent(name)
    env = make_env(observation_space)
    agent = build_agent(config, env, seed=1)
    policy = build_policy(config, observation_space, FORCE)
    policy.load_state_dict(agent.policy.state_dict())
    observation = env.reset()
    expected = agent.predict(observation, deterministic=True)[0]
    assert np.array_equal(policy.predict(observation, deterministic=True)[0], expected)


def test_building_a_network_alone_advances_no_generator():
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    build_policy(small_agent("SAC"), MIXED, FORCE)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    assert before[2] == random.getstate()


DISCRETE = [spaces.Discrete(3), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(2)]


@pytest.mark.parametrize(
    ("name", "action_space"),
    [
        (name, space)
        for name in ALGORITHM_NAMES
        for space in DISCRETE
        if type(space).__name__ in find_spec(name).action_spaces
    ],
)
def test_the_discrete_spaces_that_an_algorithm_accepts_work(name, action_space):
    agent = build_agent(small_agent(name), make_env(action_space=action_space), seed=0)
    agent.learn(16)
    action, _ = agent.predict(agent.env.reset())
    assert action_space.contains(action[0])


@pytest.mark.parametrize("name", OFF_POLICY_NAMES)
@pytest.mark.parametrize("kind", ["normal", "ornstein_uhlenbeck"])
def test_action_noise_is_separate_for_each_environment(name, kind):
    config = small_agent(name, action_noise={"type": kind, "sigma": 0.3})
    agent = build_agent(config, make_env(copies=3), seed=0)
    agent.learn(30)
    assert isinstance(agent.action_noise, VectorizedActionNoise)
    assert agent.action_noise().shape == (3, 2)


def test_a_single_environment_gets_plain_noise():
    config = small_agent("TD3", action_noise={"type": "ornstein_uhlenbeck", "sigma": 0.3})
    agent = build_agent(config, make_env(copies=1), seed=0)
    assert isinstance(agent.action_noise, OrnsteinUhlenbeckActionNoise)
    assert np.array_equal(agent.action_noise._sigma, [0.3, 0.3])


@pytest.mark.parametrize("name", OFF_POLICY_NAMES)
def test_as_many_gradient_steps_as_control_steps_in_several_environments(name):
    config = small_agent(name, hyperparameters={"gradient_steps": -1, "learning_starts": 0})
    agent = build_agent(config, make_env(copies=3), seed=0)
    agent.learn(30)
    assert agent._n_updates == 30


@pytest.mark.parametrize("name", ["SAC", "TD3", "TQC"])
def test_hindsight_replay_relabels_goals(name):
    config = small_agent(
        name,
        her={"goals_per_transition": 2, "strategy": "final"},
        hyperparameters={"learning_starts": 20},
    )
    agent = build_agent(config, make_env(GOAL), seed=0)
    agent.learn(40)
    assert isinstance(agent.replay_buffer, HerReplayBuffer)
    assert agent.replay_buffer.n_sampled_goal == 2
    assert agent.replay_buffer.goal_selection_strategy.name == "FINAL"


def test_observations_can_be_stored_once():
    config = small_agent("SAC", hyperparameters={"optimize_memory_usage": True})
    agent = build_agent(config, make_env(), seed=0)
    agent.learn(24)
    assert not hasattr(agent.replay_buffer, "next_observations")


def test_schedules_reach_the_optimiser_and_the_clipping():
    falling = {"type": "linear", "start": 1e-2, "end": 0.0}
    config = small_agent("PPO", hyperparameters={"learning_rate": falling, "clip_range": falling})
    agent = build_agent(config, make_env(), seed=0)
    assert agent.learning_rate == Linear(1e-2, 0.0, 0.0)
    assert agent.clip_range(0.25) == pytest.approx(2.5e-3)
    agent.learn(32)
    assert agent.policy.optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-12)


def test_a_batch_that_does_not_divide_the_rollout_is_one_line_in_the_log(caplog):
    config = small_agent("PPO", hyperparameters={"n_steps": 5, "batch_size": 4})
    with caplog.at_level(logging.WARNING), warnings.catch_warnings():
        warnings.simplefilter("error")
        build_agent(config, make_env(copies=2), seed=0)
    assert caplog.messages == [
        "PPO: batch_size 4 does not divide the rollout of n_steps x num_envs = 5 x 2 = 10; "
        "each pass ends with a batch of 2."
    ]


class Impatient(PPO):
    """A user's algorithm: PPO with a hyperparameter of its own."""

    def __init__(self, policy, env, patience=3, **kwargs):
        super().__init__(policy, env, **kwargs)
        self.patience = patience


ENTRY = f"{__name__}:Impatient"


def test_a_users_algorithm_is_built_by_entry_and_by_registered_name(monkeypatch):
    hyperparameters = {
        "patience": 9,
        "n_steps": 8,
        "batch_size": 8,
        "learning_rate": {"type": "cosine", "start": 1e-3},
    }
    agent = build_agent(small_agent(ENTRY, hyperparameters=hyperparameters), make_env(), seed=0)
    assert isinstance(agent, Impatient)
    assert agent.patience == 9
    assert agent.lr_schedule(0.5) == pytest.approx(5e-4)
    monkeypatch.setattr(ALGORITHMS, "_entries", copy.copy(ALGORITHMS._entries))
    ALGORITHMS.register("impatient", Impatient)
    named = small_agent("impatient", hyperparameters={"n_steps": 8, "batch_size": 8})
    assert isinstance(build_agent(named, make_env(), seed=0), Impatient)


def test_a_users_algorithm_of_another_family_is_built():
    config = small_agent(
        "stable_baselines3:DQN",
        network={"actor": [8], "critic": None},
        hyperparameters={"learning_starts": 4, "buffer_size": 100},
    )
    agent = build_agent(config, make_env(action_space=spaces.Discrete(3)), seed=0)
    agent.learn(24)
    policy = build_policy(config, VECTOR, spaces.Discrete(3))
    policy.load_state_dict(agent.policy.state_dict())


@pytest.mark.parametrize(
    ("algorithm", "hyperparameters", "message"),
    [
        (ENTRY, {"patiens": 1}, r"no hyperparameter 'patiens'.*Did you mean 'patience'\?"),
        (ENTRY, {"seed": 1}, "no hyperparameter 'seed'.*Allowed: batch_size, clip_range"),
        (ENTRY, {"learning_rate": {"type": "linear"}}, "learning_rate is not a schedule"),
        (ENTRY, {"batch_size": 1}, "refuses its arguments: `batch_size` must be greater than 1"),
        ("fractions:Fraction", {}, "not a class derived from"),
        ("nowhere:Class", {}, "module 'nowhere' cannot be imported"),
        ("stable_baselines3:PPOO", {}, "'stable_baselines3' has no 'PPOO'"),
    ],
)
def test_a_wrong_custom_agent_is_one_clear_line(algorithm, hyperparameters, message):
    with pytest.raises(ConfigError, match=message) as caught:
        config = small_agent(algorithm, hyperparameters=hyperparameters)
        build_agent(config, make_env(), seed=0)
    assert "\n" not in str(caught.value)
