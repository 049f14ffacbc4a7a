"""The fast updates give SB3's weights, in one lane and in two."""

import copy

import numpy as np
import pytest
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from roboyard.agents import fast
from roboyard.agents.fast import programs, rows
from roboyard.testing.fake_envs import FORCE, IMAGE, MIXED, VECTOR, FakeEnv

PPO = {"n_steps": 32, "batch_size": 16, "n_epochs": 3, "learning_rate": 1e-3}
OFF_POLICY = {"buffer_size": 200, "learning_starts": 16, "batch_size": 32, "gradient_steps": 2}
CHOICE = spaces.Discrete(3)
CASES = {
    "PPO": ("PPO", PPO, {}),
    "PPO with gSDE": ("PPO", PPO | {"use_sde": True, "sde_sample_freq": 4}, {}),
    "PPO, a short last batch": ("PPO", PPO | {"batch_size": 24}, {}),
    "PPO, every option": ("PPO", PPO | {"ent_coef": 0.01, "clip_range_vf": 0.2}, {}),
    "PPO that stops early": ("PPO", PPO | {"target_kl": 1e-4}, {}),
    "PPO with choices": ("PPO", PPO, {"action": CHOICE}),
    "PPO with dictionaries": ("PPO", PPO, {"policy": "MultiInputPolicy", "observation": MIXED}),
    "PPO with images": ("PPO", PPO, {"policy": "CnnPolicy", "observation": IMAGE}),
    "SAC": ("SAC", OFF_POLICY, {}),
    "SAC with gSDE": ("SAC", OFF_POLICY | {"use_sde": True, "ent_coef": "auto_0.5"}, {}),
    "SAC, n-step, fixed temperature": ("SAC", OFF_POLICY | {"n_steps": 3, "ent_coef": 0.1}, {}),
    "SAC, slow targets": ("SAC", OFF_POLICY | {"target_update_interval": 2}, {}),
    "SAC with one critic": ("SAC", OFF_POLICY, {"policy_kwargs": {"n_critics": 1}}),
    "SAC with images": ("SAC", OFF_POLICY, {"policy": "CnnPolicy", "observation": IMAGE}),
    "TD3": ("TD3", OFF_POLICY, {}),
    "TD3 with one critic": ("TD3", OFF_POLICY, {"policy_kwargs": {"n_critics": 1}}),
    "TD3 with dictionaries": (
        "TD3",
        OFF_POLICY | {"policy_delay": 1},
        {"policy": "MultiInputPolicy", "observation": MIXED},
    ),
}


@pytest.fixture(autouse=True)
def products_of_mkl(monkeypatch):
    """The bits of torch, on every processor."""
    monkeypatch.setattr(programs, "prefers_onednn", lambda: False)


def trained(cls, settings, *, policy="MlpPolicy", observation=VECTOR, action=FORCE, **more):
    """Train and return the agent; both classes see the same numbers."""
    envs = DummyVecEnv([lambda: FakeEnv(observation, action)] * 2)
    kwargs = {"net_arch": [16, 16], "activation_fn": nn.ReLU} | more.get("policy_kwargs", {})
    agent = cls(policy, envs, seed=3, device="cpu", policy_kwargs=kwargs, **settings)
    agent.set_logger(Logger(None, []))
    if "lanes" in more:
        agent.lanes = fast.Lanes(more["lanes"])
    agent.learn(128 if "n_epochs" in settings else 40, callback=more.get("callback"))
    return agent


@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
@pytest.mark.parametrize("case", CASES)
def test_without_halves_of_batches_weights_and_logged_numbers_are_those_of_sb3(case, monkeypatch):
    monkeypatch.setattr(rows, "middle", lambda size: size)
    name, settings, environment = CASES[case]
    theirs = trained(getattr(stable_baselines3, name), settings, **environment)
    for lanes in (1, 2):
        ours = trained(getattr(fast, name), settings, lanes=lanes, **environment)
        assert differences(theirs, ours) == []
        assert ours._n_updates == theirs._n_updates
        expected, given = theirs.logger.name_to_value, ours.logger.name_to_value
        assert given.keys() == expected.keys()
        for key in (key for key in expected if key.startswith("train/")):
            assert given[key] == pytest.approx(expected[key], rel=1e-4, abs=1e-6), key


SEEING = {
    "PPO": ("PPO", PPO | {"ent_coef": 0.01, "clip_range_vf": 0.2}, IMAGE),
    "PPO with gSDE": ("PPO", PPO | {"use_sde": True}, IMAGE),
    "PPO with dictionaries": ("PPO", PPO, spaces.Dict({"camera": IMAGE, "state": VECTOR})),
    "SAC": ("SAC", OFF_POLICY, IMAGE),
    "SAC with gSDE": ("SAC", OFF_POLICY | {"use_sde": True, "target_update_interval": 2}, IMAGE),
    "SAC with dictionaries": ("SAC", OFF_POLICY, spaces.Dict({"camera": IMAGE, "state": VECTOR})),
    "TD3": ("TD3", OFF_POLICY, IMAGE),
}


@pytest.mark.parametrize("case", SEEING)
def test_steps_for_graphs_of_networks_that_learn_to_see_give_sb3s_weights(case, monkeypatch):
    name, settings, observation = SEEING[case]
    policy = "MultiInputPolicy" if isinstance(observation, spaces.Dict) else "CnnPolicy"
    theirs = trained(
        getattr(stable_baselines3, name), settings, policy=policy, observation=observation
    )
    monkeypatch.setattr(fast.ParallelLearner, "learns_in_graphs", True)
    ours = trained(getattr(fast, name), settings, policy=policy, observation=observation)
    assert type(ours._update).__name__.endswith("WholeUpdate")
    assert differences(theirs, ours) == []
    expected, given = theirs.logger.name_to_value, ours.logger.name_to_value
    for key in (key for key in expected if key.startswith("train/")):
        assert given[key] == pytest.approx(expected[key], rel=1e-4, abs=1e-6), key


class LessNoise(BaseCallback):
    """Changes what the loss is made of between updates."""

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        self.model.ent_coef += 0.05
        self.model.vf_coef *= 2


def test_a_callback_may_change_the_weights_of_the_losses_between_updates():
    theirs = trained(stable_baselines3.PPO, PPO | {"ent_coef": 0.01}, callback=LessNoise())
    ours = trained(fast.PPO, PPO | {"ent_coef": 0.01}, callback=LessNoise())
    assert differences(theirs, ours) == []


def differences(theirs, ours):
    """Return the names of weights that are not the same, bit for bit."""
    given = ours.policy.state_dict()
    return [key for key, value in theirs.policy.state_dict().items() if (value != given[key]).any()]


OFF_POLICY_CASES = [case for case in CASES if not case.startswith("PPO")]


@pytest.mark.parametrize("case", OFF_POLICY_CASES)
@pytest.mark.parametrize("batch_size", [1, 31, 32])
def test_halves_of_batches_differ_from_whole_ones_by_rounding_only(case, batch_size):
    name, settings, environment = CASES[case]
    settings = settings | {"batch_size": batch_size}
    theirs = trained(getattr(stable_baselines3, name), settings, **environment)
    one, two = (trained(getattr(fast, name), settings, lanes=n, **environment) for n in (1, 2))
    assert differences(one, two) == []
    for key, value in theirs.policy.state_dict().items():
        np.testing.assert_allclose(value, one.policy.state_dict()[key], atol=2e-4, err_msg=key)


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("PPO")])
@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
def test_ppos_update_is_recorded_unless_it_learns_features(case):
    _, settings, environment = CASES[case]
    recorded = trained(fast.PPO, settings, **environment).programs.recorded
    batches = 2 if "short" in case else 1
    learns_features = "images" in case or "dictionaries" in case
    assert recorded == (0 if learns_features else 2 * batches)


@pytest.mark.parametrize("case", OFF_POLICY_CASES)
def test_the_updates_of_off_policy_algorithms_are_recorded_unless_they_learn_features(case):
    name, settings, environment = CASES[case]
    agent = trained(getattr(fast, name), settings, lanes=2, **environment)
    learns_features = "images" in case or "dictionaries" in case
    assert bool(agent.__dict__.get("programs")) != learns_features
    if not learns_features:
        assert agent.programs.recorded == len(agent.programs._known)


def test_products_of_onednn_differ_from_mkls_by_rounding_only(monkeypatch):
    wide = {"policy_kwargs": {"net_arch": [256, 256]}}
    settings = PPO | {"n_steps": 64, "batch_size": 64, "n_epochs": 1}
    theirs = trained(stable_baselines3.PPO, settings, **wide)
    monkeypatch.setattr(programs, "prefers_onednn", lambda: True)
    ours = trained(fast.PPO, settings, **wide)
    assert ours.programs.recorded
    for key, value in theirs.policy.state_dict().items():
        np.testing.assert_allclose(value, ours.policy.state_dict()[key], atol=2e-4, err_msg=key)


@pytest.mark.parametrize("name", ["PPO", "SAC", "TD3"])
def test_the_fused_step_of_adam_differs_from_sb3s_by_rounding_only(name):
    settings = PPO if name == "PPO" else OFF_POLICY
    fused = {"optimizer_kwargs": {"eps": 1e-5, "fused": True}}
    plain = {"optimizer_kwargs": {"eps": 1e-5}}
    theirs = trained(getattr(stable_baselines3, name), settings, policy_kwargs=plain)
    ours = trained(getattr(fast, name), settings, policy_kwargs=fused, lanes=2)
    for key, value in theirs.policy.state_dict().items():
        np.testing.assert_allclose(value, ours.policy.state_dict()[key], atol=2e-4, err_msg=key)


def test_a_policy_with_a_forward_pass_of_its_own_takes_sb3s_way():
    class Own(stable_baselines3.ppo.MlpPolicy):
        evaluated = 0

        def evaluate_actions(self, obs, actions):
            Own.evaluated += 1
            return super().evaluate_actions(obs, actions)

    trained(fast.PPO, PPO, policy=Own)
    assert Own.evaluated > 0


@pytest.mark.parametrize("name", ["PPO", "SAC", "TD3"])
@pytest.mark.parametrize("optimizer", [{}, {"fused": True}], ids=["plain", "fused"])
def test_learning_goes_on_from_the_memory_of_the_optimizers_that_was_loaded(name, optimizer):
    settings = PPO if name == "PPO" else OFF_POLICY
    agents = [
        trained(getattr(fast, name), settings, policy_kwargs={"optimizer_kwargs": optimizer})
        for _ in range(2)
    ]
    first, second = agents
    first.train() if name == "PPO" else first.train(2, 32)
    first.set_parameters(copy.deepcopy(second.get_parameters()))
    if name == "SAC":  # not among the parameters
        first.log_ent_coef.data.copy_(second.log_ent_coef.data)
    for agent in agents:
        agent._n_updates = second._n_updates
        agent.set_random_seed(5)
        agent.train() if name == "PPO" else agent.train(2, 32)
    assert differences(first, second) == []


@pytest.mark.parametrize("name", ["PPO", "SAC", "TD3"])
def test_an_agent_is_saved_and_loaded_as_sb3_does(name, tmp_path):
    agent = trained(getattr(fast, name), PPO if name == "PPO" else OFF_POLICY, lanes=2)
    agent.save(tmp_path / "agent.zip")
    again = getattr(stable_baselines3, name).load(tmp_path / "agent.zip")
    for key, value in agent.policy.state_dict().items():
        assert torch.equal(value, again.policy.state_dict()[key])
