"""The jax backend learns what torch learns: the same losses and gradients from the same data."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv

from roboyard.agents import build_agent
from roboyard.testing.agent_configs import COMPILED_NAMES, small_agent
from roboyard.testing.fake_envs import FORCE, GOAL, MIXED, VECTOR, FakeEnv

NOISE = 0.3
"""What every draw from a standard normal gives here."""
GSDE = {"use_sde": True}
AT_ONCE = {"TD3": {"target_policy_noise": 0.0, "policy_delay": 1}, "CrossQ": {"policy_delay": 1}}
"""Settings with which the first gradient step moves the actor too."""
LAYERS = {"layer_norm": True, "activation": "elu", "init": "orthogonal"}
CAREFUL = {
    "clip_range_vf": 0.1,
    "ent_coef": 0.01,
    "learning_rate": {"type": "linear", "start": 0.001},
}


@pytest.fixture(autouse=True)
def constant_noise(monkeypatch):
    monkeypatch.setattr(
        "torch.distributions.normal._standard_normal",
        lambda shape, dtype, device: torch.full(shape, NOISE, dtype=dtype),
    )
    monkeypatch.setattr("torch.randn_like", lambda of: torch.full_like(of, NOISE))
    monkeypatch.setattr("jax.random.normal", lambda key, shape: jnp.full(shape, NOISE))


def learned(backend, name, observations=VECTOR, actions=FORCE, **sections):
    """Return an agent after the first update, with data that do not depend on the backend."""
    env = DummyVecEnv([lambda: FakeEnv(observations, actions)] * 2)
    env.seed(3)
    agent = build_agent(small_agent(name, backend=backend, **sections), env, seed=0)
    agent.set_logger(Logger(None, []))
    agent.learn(16 if name == "PPO" else 6)
    return agent


def momenta(agent):
    """Return Adam's first moment of each parameter: the gradients seen so far."""
    agent.get_parameters()
    owners = [agent.policy] if hasattr(agent.policy, "optimizer") else [agent.actor, agent.critic]
    names = {id(parameter): name for name, parameter in agent.policy.named_parameters()}
    found = {
        names[id(parameter)]: state["exp_avg"]
        for owner in owners
        for parameter, state in owner.optimizer.state.items()
    }
    if getattr(agent, "ent_coef_optimizer", None) is not None:
        (state,) = agent.ent_coef_optimizer.state.values()
        found["log_ent_coef"] = state["exp_avg"]
    return found


def assert_alike(name, **sections):
    ours, theirs = learned("jax", name, **sections), learned("torch", name, **sections)
    first, second = momenta(ours), momenta(theirs)
    assert first.keys() == second.keys()
    for key, value in second.items():
        torch.testing.assert_close(first[key], value, rtol=2e-3, atol=2e-5, msg=key)
    statistics = dict(theirs.policy.named_buffers())
    for key, value in ours.policy.named_buffers():
        torch.testing.assert_close(value, statistics[key], rtol=1e-4, atol=1e-6, msg=key)
    logged = theirs.logger.name_to_value
    assert ours.logger.name_to_value.keys() == logged.keys()
    for key, value in logged.items():
        if key.startswith("train/"):
            assert ours.logger.name_to_value[key] == pytest.approx(value, rel=2e-3, abs=2e-5), key


def test_ppo_with_state_dependent_exploration_learns_what_torch_learns():
    assert_alike("PPO", hyperparameters=GSDE, network={"log_std_init": -2.0})


def test_sac_learns_what_torch_learns():
    assert_alike("SAC")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED_NAMES)
def test_every_algorithm_learns_what_torch_learns(name):
    assert_alike(name, hyperparameters=AT_ONCE.get(name, {}))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SAC", "TQC", "CrossQ"])
def test_state_dependent_exploration_learns_what_torch_learns(name):
    assert_alike(name, hyperparameters=GSDE | AT_ONCE.get(name, {}))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PPO", "SAC"])
@pytest.mark.parametrize("observations", [MIXED, spaces.Discrete(5)], ids=["dict", "discrete"])
def test_images_dictionaries_and_numbers_are_read_as_torch_reads_them(name, observations):
    assert_alike(name, observations=observations)


@pytest.mark.slow
@pytest.mark.parametrize(
    "actions", [spaces.Discrete(3), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(3)]
)
def test_ppo_with_discrete_actions_learns_what_torch_learns(actions):
    assert_alike("PPO", actions=actions, hyperparameters={"ent_coef": 0.01})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sections"),
    [
        ("PPO", {"network": LAYERS}),
        ("PPO", {"hyperparameters": CAREFUL}),
        ("PPO", {"hyperparameters": {"batch_size": 6, "n_epochs": 2}}),
        ("PPO", {"network": {"extractor": {"shared": False}, "weight_decay": 0.1}}),
        ("SAC", {"network": {**LAYERS, "num_critics": 3, "weight_decay": 0.1}}),
        ("SAC", {"network": {"extractor": {"shared": True}}, "observations": MIXED}),
        ("SAC", {"hyperparameters": {"ent_coef": 0.2, "n_steps": 3}}),
        ("TQC", {"hyperparameters": {"top_quantiles_to_drop_per_net": 0}}),
        ("TD3", {"hyperparameters": {"target_policy_noise": 0.0, "policy_delay": 3}}),
    ],
)
def test_every_setting_means_what_it_means_in_torch(name, sections):
    assert_alike(name, **sections)


@pytest.mark.slow
def test_ppo_stops_an_update_where_torch_stops_it():
    far = {"target_kl": 1e-5, "n_epochs": 8, "learning_rate": 0.01}
    ours, theirs = (
        learned("jax", "PPO", hyperparameters=far),
        learned("torch", "PPO", hyperparameters=far),
    )
    assert ours._n_updates == theirs._n_updates < 8
    for first, second in zip(ours.policy.parameters(), theirs.policy.parameters(), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_hindsight_gives_each_minibatch_its_share_of_goals():
    late = {"gradient_steps": 3, "learning_starts": 30}
    goals = {"her": {"goals_per_transition": 1}, "hyperparameters": late}
    env = DummyVecEnv([lambda: FakeEnv(GOAL, FORCE)])
    agent = build_agent(small_agent("SAC", backend="jax", **goals), env, seed=0)
    agent.learn(40)
    agent.replay_buffer.sample = lambda size, env: _numbered(size)  # 0 to size - 1
    rewards = agent._minibatches(3, 8)["rewards"]
    assert [sorted(row % 3) for row in rewards] == [[step] * 8 for step in range(3)]


def _numbered(size):
    from stable_baselines3.common.type_aliases import ReplayBufferSamples

    column = torch.arange(size, dtype=torch.float32)[:, None]
    return ReplayBufferSamples(column, column, column, column, column)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED_NAMES)
def test_the_same_seed_twice_trains_to_the_same_bits(name):
    first, second = (learned("jax", name).get_parameters()["policy"] for _ in range(2))
    for key, value in first.items():
        assert torch.equal(value, second[key]), key
        assert np.isfinite(value.numpy()).all()


@pytest.mark.parametrize("name", ["TD3", "CrossQ"])
def test_steps_that_are_not_waited_for_learn_and_record_the_same(name, monkeypatch):
    def trained():
        env = DummyVecEnv([FakeEnv])
        env.seed(3)
        agent = build_agent(
            small_agent(name, backend="jax", hyperparameters={"policy_delay": 2}), env, seed=0
        )
        agent.set_logger(Logger(None, []))
        agent.learn(13)
        assert agent._n_updates % 2
        unrecorded = agent._unrecorded is not None
        logged = dict(agent.logger.name_to_value)
        agent.refresh_policy()
        return agent, logged, unrecorded

    ours, before, unrecorded = trained()
    assert unrecorded
    monkeypatch.setattr("roboyard.agents.jax.off_policy.DelayedActor._moves_actor", lambda *_: True)
    waiting, expected, unrecorded = trained()
    assert not unrecorded
    assert before["train/n_updates"] == expected["train/n_updates"] - 1
    assert ours.logger.name_to_value == expected
    for key, value in waiting.policy.state_dict().items():
        assert torch.equal(value, ours.policy.state_dict()[key]), key


def test_td3s_actor_pays_for_the_first_critic_only():
    def products(count):
        agent = learned("jax", "TD3", network={"num_critics": count})
        batch = {key: part[0] for key, part in agent._minibatches(1, 4).items()}
        program = jax.make_jaxpr(agent._move_actor)(agent._learner, batch, 0.1)
        return str(program).count("dot_general[")

    assert products(1) == products(3) > 0
