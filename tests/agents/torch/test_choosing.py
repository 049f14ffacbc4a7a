"""Actions that are chosen without modules are those that SB3's policies choose, bit for bit."""

import copy

import numpy as np
import pytest
import torch
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from roboyard.agents import build_agent
from roboyard.agents.torch.choosing import Chooser, unrolled
from roboyard.testing.agent_configs import small_agent
from roboyard.testing.fake_envs import IMAGE, VECTOR, FakeEnv, batch_of

GSDE = {"hyperparameters": {"use_sde": True}}
CASES = {
    "SAC": ("SAC", {}),
    "SAC, gSDE": ("SAC", GSDE),
    "SAC, other layers": ("SAC", {"network": {"activation": "elu", "layer_norm": True}}),
    "TD3": ("TD3", {}),
    "TD3, tanh": ("TD3", {"network": {"activation": "tanh"}}),
    "TQC, jax": ("TQC", {"backend": "jax"}),
    "CrossQ, jax, gSDE": ("CrossQ", {"backend": "jax", **GSDE}),
}


def agent_of(name, sections, observation=VECTOR):
    return build_agent(
        small_agent(name, **sections), DummyVecEnv([lambda: FakeEnv(observation)]), seed=0
    )


def predictions(agent, predict, **arguments):
    torch.manual_seed(5)
    return [predict(batch_of(VECTOR, count), **arguments)[0] for count in (1, 3)]


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_actions_and_the_noise_in_them_are_those_of_the_policy(case, deterministic):
    agent = agent_of(*CASES[case])
    if "gSDE" in case:
        agent.actor.reset_noise()
    ours = predictions(agent, agent.predict, deterministic=deterministic)
    theirs = predictions(agent, agent.policy.predict, deterministic=deterministic)
    for first, second in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", ["SAC", "TD3"])
def test_modules_are_left_alone_where_they_only_compute(name, monkeypatch):
    agent = agent_of(name, {})
    called, call = [], nn.Module.__call__
    monkeypatch.setattr(
        nn.Module, "__call__", lambda self, *given: called.append(self) or call(self, *given)
    )
    agent.predict(batch_of(VECTOR, 1))
    assert not called


@pytest.mark.parametrize("name", ["SAC", "TD3"])
def test_weights_that_were_loaded_are_acted_with(name):
    agent, other = agent_of(name, {}), agent_of(name, {"network": {"init": "orthogonal"}})
    batch = batch_of(VECTOR, 2)
    before, _ = agent.predict(batch, deterministic=True)
    agent.set_parameters(other.get_parameters())
    after, _ = agent.predict(batch, deterministic=True)
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, other.predict(batch, deterministic=True)[0])


@pytest.mark.parametrize("name", ["SAC", "TD3"])
def test_the_copy_of_an_agent_acts_with_its_own_weights(name):
    agent, batch = agent_of(name, {}), batch_of(VECTOR, 2)
    before, _ = agent.predict(batch, deterministic=True)
    other = copy.deepcopy(agent)
    for parameter in agent.policy.parameters():
        parameter.data.zero_()
    np.testing.assert_array_equal(other.predict(batch, deterministic=True)[0], before)
    assert not np.array_equal(agent.predict(batch, deterministic=True)[0], before)


@pytest.mark.parametrize("name", ["SAC", "TD3"])
def test_a_policy_with_hooks_images_or_a_choice_of_its_own_is_asked_itself(name, monkeypatch):
    def asks_policy(policy):
        choose = Chooser(policy)  # decides now, and looks the method up when it is called
        asked = []
        answer = torch.zeros(1, 1)
        monkeypatch.setattr(
            type(policy), "_predict", lambda *_, **__: asked.append(policy) or answer
        )
        choose(torch.zeros(1, *policy.observation_space.shape), True)
        monkeypatch.undo()
        return bool(asked)

    plain, hooked, own = (agent_of(name, {}).policy for _ in range(3))
    assert not asks_policy(plain)
    hooked.actor.mu.register_forward_hook(lambda *_: None)
    assert asks_policy(hooked)
    assert asks_policy(agent_of(name, {}, IMAGE).policy)
    own.__class__ = type("Own", (type(own),), {"_predict": BasePolicy._predict})
    assert asks_policy(own)


@pytest.mark.parametrize("name", ["SAC", "TD3"])
def test_a_method_that_was_replaced_in_one_policy_is_called(name):
    policy = agent_of(name, {}).policy
    policy._predict = lambda observation, deterministic: torch.full((1, 1), 0.25)
    assert Chooser(policy)(torch.zeros(1, *policy.observation_space.shape), True) == 0.25


def test_layers_within_layers_are_unrolled_and_unknown_ones_called():
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Linear(3, 4), nn.Sequential(nn.GELU(), nn.Linear(4, 2, bias=False)), nn.Hardtanh(-1, 2)
    )
    inputs = torch.randn(5, 3)
    assert torch.equal(unrolled(network)(inputs), network(inputs))
