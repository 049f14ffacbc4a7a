"""On a CPU functions run as written; on an accelerator as one graph, with the same bits."""

from collections import Counter

import pytest
import stable_baselines3
import torch
import torch_algorithms
from gymnasium import spaces
from pydantic import TypeAdapter
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import DictReplayBufferSamples, ReplayBufferSamples
from stable_baselines3.common.vec_env import DummyVecEnv

from roboyard.agents.factory import build_agent
from roboyard.agents.torch import cuda_graphs as graphs
from roboyard.agents.torch.optimizer import CapturableAdams
from roboyard.config.agents import AgentConfig
from roboyard.testing.fake_envs import FORCE, IMAGE, VECTOR, FakeEnv

OFF_POLICY = {
    "buffer_size": 1000,
    "learning_starts": 64,
    "batch_size": 63,
    "train_freq": 4,
    "gradient_steps": 4,
}
PPO = {"n_steps": 32, "batch_size": 48, "n_epochs": 4}
CASES = {
    "PPO": ("PPO", PPO | {"clip_range_vf": 0.2, "ent_coef": 0.01}, VECTOR),
    "PPO with gSDE": ("PPO", PPO | {"use_sde": True}, VECTOR),
    "PPO with images": ("PPO", PPO, IMAGE),
    "SAC": ("SAC", OFF_POLICY, VECTOR),
    "SAC with gSDE": ("SAC", OFF_POLICY | {"use_sde": True, "train_freq": 1}, VECTOR),
    "SAC with images": ("SAC", OFF_POLICY, IMAGE),
    "SAC with dictionaries": ("SAC", OFF_POLICY, spaces.Dict({"a": VECTOR, "b": VECTOR})),
    "TD3": ("TD3", OFF_POLICY, VECTOR),
    "TD3 with images": ("TD3", OFF_POLICY, IMAGE),
}


def test_on_a_cpu_every_call_runs_the_function_that_is_given():
    found, calls = graphs.Graphs(), Counter()

    def work(name):
        def run(part):
            calls[name] += 1
            return [part + 1]

        return run

    for name in "abcdef":
        (result,) = found.run("key", work(name), [torch.ones(2)])
        assert result.tolist() == [2, 2]
    assert calls == Counter("abcdef")
    assert found.captured == 0


@pytest.mark.parametrize("discounts", [None, torch.rand(3, 1)])
@pytest.mark.parametrize("in_dictionary", [True, False])
def test_a_batch_is_the_same_after_it_was_a_list_of_tensors(discounts, in_dictionary):
    seen = {"b": torch.rand(3, 2), "a": torch.rand(3, 1)} if in_dictionary else torch.rand(3, 2)
    cls = DictReplayBufferSamples if in_dictionary else ReplayBufferSamples
    batch = cls(seen, torch.rand(3, 1), seen, *(torch.rand(3, 1) for _ in "12"), discounts)
    tensors = graphs._tensors(batch)
    assert len(tensors) == 5 + 2 * in_dictionary + (discounts is not None)
    fields = graphs._with_tensors(batch, iter(tensors))
    for mine, theirs in zip(fields, batch, strict=True):
        if isinstance(theirs, dict):
            assert list(mine) == ["b", "a"]
            assert all(mine[name] is theirs[name] for name in theirs)
        else:
            assert mine is theirs


def test_on_a_cpu_optimizers_stay_as_they_are():
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([parameter], lr=0.1)
    before = dict(optimizer.param_groups[0])
    with CapturableAdams([optimizer]).on_device() as places:
        assert places is None
    assert optimizer.param_groups[0] == before


def test_what_was_captured_is_forgotten_when_what_it_depends_on_changes():
    found = graphs.Graphs()
    found._known["key"] = object()
    found.keep_if(("one", 2))
    assert not found._known
    found._known["key"] = object()
    found.keep_if(("one", 2))
    assert found._known


def test_a_ppo_on_an_accelerator_is_not_told_to_go_back_to_the_cpu():
    env = DummyVecEnv([lambda: FakeEnv(VECTOR, FORCE)])
    ours, theirs = (
        lib.PPO("MlpPolicy", env, device="cpu") for lib in (torch_algorithms, stable_baselines3)
    )
    theirs.device = ours.device = torch.device("cuda")
    with pytest.warns(UserWarning, match="trying to run PPO on the GPU"):
        theirs._maybe_recommend_cpu()
    ours._maybe_recommend_cpu()  # a warning would be an error


def trained(case, monkeypatch, warm_up):
    monkeypatch.setattr(graphs, "WARM_UP", warm_up)
    name, settings, observation = CASES[case]
    config = TypeAdapter(AgentConfig).validate_python(
        {"algorithm": name, "backend": "torch", "hyperparameters": settings}
    )
    env = DummyVecEnv([lambda: FakeEnv(observation, FORCE)] * (8 if name == "PPO" else 1))
    agent = build_agent(config, env, seed=0, device="cuda")
    agent.set_logger(Logger(None, []))
    agent.learn(512 if name == "PPO" else 160)
    return agent


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_on_an_accelerator_graphs_give_the_bits_of_steps_as_written(case, monkeypatch):
    ours = trained(case, monkeypatch, graphs.WARM_UP)
    expected = trained(case, monkeypatch, 1_000_000)
    assert ours._graphs.captured
    assert not expected._graphs.captured
    weights = expected.policy.state_dict()
    for name, weight in ours.policy.state_dict().items():
        assert torch.equal(weight, weights[name]), name


@pytest.mark.gpu
def test_what_cannot_be_captured_goes_on_as_written():
    found, part = graphs.Graphs(), torch.ones(2, device="cuda")

    def work(part):
        return [part * part.sum().item()]  # waits for a value

    for _ in range(graphs.WARM_UP + 3):
        (result,) = found.run("key", work, [part])
        assert result.tolist() == [2, 2]
        torch.randn(2, device="cuda")  # draws go on
    assert found.captured == 0
