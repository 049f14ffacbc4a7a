"""Rollouts are SB3's, bit for bit: buffers, random draws, weights, what callbacks see."""

import copy
from functools import partial

import numpy as np
import pytest
import stable_baselines3
import torch
import torch_algorithms
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize
from torch import nn

from roboyard.envs.vector.shared_memory_vec_env import SharedMemoryVecEnv
from roboyard.testing.fake_envs import FORCE, IMAGE, MIXED, VECTOR, FakeEnv

COLUMNS = ("actions", "rewards", "episode_starts", "values", "log_probs", "advantages", "returns")
SEEN = (
    "n_steps", "obs_tensor", "actions", "values", "log_probs", "clipped_actions", "new_obs",
    "rewards", "dones",
)  # fmt: skip
SDE = {"use_sde": True, "sde_sample_freq": 4}
APART = {"share_features_extractor": False}
CASES = {
    "a Gaussian": {},
    "gSDE": {"settings": SDE},
    "gSDE, one draw a rollout": {"settings": {"use_sde": True}},
    "squashed gSDE": {"settings": SDE, "policy_kwargs": {"squash_output": True}},
    "choices": {"action": spaces.Discrete(3)},
    "several choices": {"action": spaces.MultiDiscrete([2, 3])},
    "switches": {"action": spaces.MultiBinary(3)},
    "dictionaries": {"policy": "MultiInputPolicy", "observation": MIXED},
    "images": {"policy": "CnnPolicy", "observation": IMAGE},
    "two extractors": {"policy": "CnnPolicy", "observation": IMAGE, "policy_kwargs": APART},
    "numbers as observations": {"observation": spaces.Discrete(5)},
    "many environments, wide networks": {
        "name": "A2C",
        "count": 16,
        "settings": SDE,
        "policy_kwargs": {"net_arch": [256, 256]},
    },
    "A2C": {"name": "A2C"},
    "A2C with gSDE": {"name": "A2C", "settings": SDE},
}


class Witness(BaseCallback):
    """Keeps all that a callback can see, and moves rewards as some callbacks do."""

    def __init__(self):
        super().__init__()
        self.seen, self.buffers = [], []

    def _on_step(self):
        self.locals["rewards"][0] += 0.5
        seen = {name: self.locals[name] for name in SEEN}
        seen |= {"position": self.model.rollout_buffer.pos, "last": self.model._last_obs}
        seen |= {"episodes": [episode["r"] for episode in self.model.ep_info_buffer]}
        self.seen.append(copy.deepcopy(seen))
        return True

    def _on_rollout_end(self):
        buffer = self.model.rollout_buffer
        columns = {name: getattr(buffer, name) for name in (*COLUMNS, "observations")}
        self.buffers.append(copy.deepcopy(columns | {"last values": self.locals["values"]}))


def make_envs(observation, action, workers, count):
    makers = [partial(FakeEnv, observation, action)] * count
    if not workers:
        return VecMonitor(DummyVecEnv(makers))
    return VecMonitor(SharedMemoryVecEnv(makers, workers=workers))


def trained(module, case, workers=0, callback=None, normalized=False):
    parts = {"name": "PPO", "policy": "MlpPolicy", "observation": VECTOR, "action": FORCE}
    parts |= {"settings": {}, "policy_kwargs": {}, "count": 3} | case
    settings = {"n_steps": 20, "learning_rate": 1e-3} | parts["settings"]
    if parts["name"] == "PPO":
        settings |= {"batch_size": 30, "n_epochs": 2}
    kwargs = {"net_arch": [16, 16], "activation_fn": nn.ReLU} | parts["policy_kwargs"]
    envs = make_envs(parts["observation"], parts["action"], workers, parts["count"])
    envs = VecNormalize(envs) if normalized else envs
    agent = getattr(module, parts["name"])(
        parts["policy"], envs, seed=3, device="cpu", policy_kwargs=kwargs, **settings
    )
    agent.set_logger(Logger(None, []))
    try:
        agent.learn(50 * parts["count"], callback)
    finally:
        envs.close()
    return agent


def assert_same(one, other, where=""):
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where} {key}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where} {number}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        assert np.asarray(one).dtype == np.asarray(other).dtype, where
        np.testing.assert_array_equal(one, other, where)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("case", CASES)
def test_rollouts_weights_draws_and_what_callbacks_see_are_those_of_sb3(case, workers):
    expected, given = Witness(), Witness()
    theirs = trained(stable_baselines3, CASES[case], 0, expected)
    draws = torch.get_rng_state(), np.random.get_state()[1:]
    ours = trained(torch_algorithms, CASES[case], workers, given)
    assert ours.overlaps
    assert len(given.buffers) == 3
    assert_same(expected.buffers, given.buffers)
    assert_same(expected.seen, given.seen)
    assert_same(dict(theirs.policy.state_dict()), dict(ours.policy.state_dict()))
    assert_same(list(draws[1]), list(np.random.get_state()[1:]))
    assert torch.equal(draws[0], torch.get_rng_state())


def test_normalised_rollouts_are_those_of_sb3():
    expected, given = Witness(), Witness()
    trained(stable_baselines3, CASES["gSDE"], 0, expected, normalized=True)
    trained(torch_algorithms, CASES["gSDE"], 2, given, normalized=True)
    assert_same(expected.buffers, given.buffers)


class Doubled(stable_baselines3.ppo.MlpPolicy):
    """A policy with a forward pass of its own."""

    def forward(self, obs, deterministic=False):
        actions, values, log_prob = super().forward(obs, deterministic)
        return actions, 2 * values, log_prob


def test_a_policy_with_a_forward_pass_of_its_own_is_asked_for_its_own():
    expected, given = Witness(), Witness()
    trained(stable_baselines3, {"policy": Doubled}, 0, expected)
    ours = trained(torch_algorithms, {"policy": Doubled}, 2, given)
    assert not ours.overlaps
    assert_same(expected.buffers, given.buffers)


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


class Threads(BaseCallback):
    """Notes how many threads there are, and raises or asks for the end at the fifth step."""

    def __init__(self, end=None):
        super().__init__()
        self.end, self.counts = end, {}

    def _note(self, when):
        self.counts.setdefault(when, torch.get_num_threads())

    def _on_rollout_start(self):
        self._note("start")

    def _on_step(self):
        self._note("step")
        if self.n_calls == 5 and isinstance(self.end, Exception):
            raise self.end
        return self.n_calls != 5 or self.end is None

    def _on_rollout_end(self):
        self._note("end")


@pytest.mark.usefixtures("three_threads")
def test_acting_takes_one_thread_and_everything_else_as_many_as_there_were():
    callback = Threads()
    trained(torch_algorithms, {}, 0, callback)
    assert callback.counts == {"start": 3, "step": 1, "end": 3}
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_acting_on_images_takes_as_many_threads_as_learning():
    callback = Threads()
    trained(torch_algorithms, CASES["dictionaries"], 0, callback)
    assert callback.counts["step"] == 3


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("end", [KeyError("no"), False])
def test_threads_come_back_when_a_callback_ends_the_rollout(end):
    if isinstance(end, KeyError):
        with pytest.raises(KeyError):
            trained(torch_algorithms, {}, 0, Threads(end))
    else:
        trained(torch_algorithms, {}, 0, Threads(end))
    assert torch.get_num_threads() == 3


def test_a_policy_that_is_not_finite_is_noticed_at_its_first_actions():
    class Poison(BaseCallback):
        def _on_step(self):
            with torch.no_grad():
                self.model.policy.action_net.bias.fill_(float("nan"))
            return True

    for settings in ({}, SDE):
        callback = Poison()
        with pytest.raises(ValueError, match="invalid values"):
            trained(torch_algorithms, {"settings": settings}, 0, callback)
        assert callback.n_calls == 1
