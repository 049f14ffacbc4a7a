"""Updates on torch give SB3's weights, bit for bit."""

import copy

import numpy as np
import pytest
import stable_baselines3
import torch
import torch_algorithms
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

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
    "SAC with one critic": ("SAC", OFF_POLICY, {"policy_kwargs": {"n_critics": 1}}),
    "PPO, two extractors": (
        "PPO",
        PPO | {"ent_coef": 0.01},
        {
            "policy": "CnnPolicy",
            "observation": IMAGE,
            "policy_kwargs": {"share_features_extractor": False},
        },
    ),
    "A2C": ("A2C", {"n_steps": 8}, {}),
    "A2C with gSDE": ("A2C", {"n_steps": 8, "use_sde": True}, {}),
    "SAC, wide": ("SAC", OFF_POLICY, {"policy_kwargs": {"net_arch": [256, 256]}}),
    "SAC, shared features": (
        "SAC",
        OFF_POLICY,
        {
            "policy": "CnnPolicy",
            "observation": IMAGE,
            "policy_kwargs": {"share_features_extractor": True},
        },
    ),
    "SAC with images": ("SAC", OFF_POLICY, {"policy": "CnnPolicy", "observation": IMAGE}),
    "TD3": ("TD3", OFF_POLICY, {}),
    "TD3 with one critic": ("TD3", OFF_POLICY, {"policy_kwargs": {"n_critics": 1}}),
    "TD3 with images": ("TD3", OFF_POLICY, {"policy": "CnnPolicy", "observation": IMAGE}),
    "TD3 with dictionaries": (
        "TD3",
        OFF_POLICY | {"policy_delay": 1},
        {"policy": "MultiInputPolicy", "observation": MIXED},
    ),
}


def trained(cls, settings, *, policy="MlpPolicy", observation=VECTOR, action=FORCE, **more):
    """Train and return the agent; both classes see the same numbers."""
    envs = DummyVecEnv([lambda: FakeEnv(observation, action)] * 2)
    kwargs = {"net_arch": [16, 16], "activation_fn": nn.ReLU} | more.get("policy_kwargs", {})
    agent = cls(policy, envs, seed=3, device="cpu", policy_kwargs=kwargs, **settings)
    agent.set_logger(Logger(None, []))
    agent.learn(128 if "n_epochs" in settings else 40, callback=more.get("callback"))
    return agent


@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
@pytest.mark.parametrize("case", CASES)
def test_weights_and_logged_numbers_are_those_of_sb3(case):
    name, settings, environment = CASES[case]
    theirs = trained(getattr(stable_baselines3, name), settings, **environment)
    ours = trained(getattr(torch_algorithms, name), settings, **environment)
    assert differences(theirs, ours) == []
    assert ours._n_updates == theirs._n_updates
    expected, given = theirs.logger.name_to_value, ours.logger.name_to_value
    assert given.keys() == expected.keys()
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
    ours = trained(torch_algorithms.PPO, PPO | {"ent_coef": 0.01}, callback=LessNoise())
    assert differences(theirs, ours) == []


def differences(theirs, ours):
    """Return the names of weights that are not the same, bit for bit."""
    given = ours.policy.state_dict()
    return [key for key, value in theirs.policy.state_dict().items() if (value != given[key]).any()]


@pytest.mark.parametrize("name", ["PPO", "SAC", "TD3"])
def test_the_fused_step_of_adam_differs_from_sb3s_by_rounding_only(name):
    settings = PPO if name == "PPO" else OFF_POLICY
    fused = {"optimizer_kwargs": {"eps": 1e-5, "fused": True}}
    plain = {"optimizer_kwargs": {"eps": 1e-5}}
    theirs = trained(getattr(stable_baselines3, name), settings, policy_kwargs=plain)
    ours = trained(getattr(torch_algorithms, name), settings, policy_kwargs=fused)
    for key, value in theirs.policy.state_dict().items():
        np.testing.assert_allclose(value, ours.policy.state_dict()[key], atol=2e-4, err_msg=key)


def test_a_policy_with_a_forward_pass_of_its_own_takes_sb3s_way():
    class Own(stable_baselines3.ppo.MlpPolicy):
        evaluated = 0

        def evaluate_actions(self, obs, actions):
            Own.evaluated += 1
            return super().evaluate_actions(obs, actions)

    trained(torch_algorithms.PPO, PPO, policy=Own)
    assert Own.evaluated > 0


@pytest.mark.parametrize("name", ["PPO", "SAC", "TD3"])
@pytest.mark.parametrize("optimizer", [{}, {"fused": True}], ids=["plain", "fused"])
def test_learning_goes_on_from_the_memory_of_the_optimizers_that_was_loaded(name, optimizer):
    settings = PPO if name == "PPO" else OFF_POLICY
    agents = [
        trained(
            getattr(torch_algorithms, name), settings, policy_kwargs={"optimizer_kwargs": optimizer}
        )
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
    agent = trained(getattr(torch_algorithms, name), PPO if name == "PPO" else OFF_POLICY)
    agent.save(tmp_path / "agent.zip")
    again = getattr(stable_baselines3, name).load(tmp_path / "agent.zip")
    for key, value in agent.policy.state_dict().items():
        assert torch.equal(value, again.policy.state_dict()[key])
