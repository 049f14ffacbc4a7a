"""Target networks move at each n-th gradient step of the run, however the steps are grouped."""

import pytest
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv

from roboyard.agents import build_agent
from roboyard.agents.backends import refresh_policy
from roboyard.testing.agent_configs import small_agent
from roboyard.testing.fake_envs import IMAGE, VECTOR, FakeEnv


@pytest.mark.parametrize("steps_a_call", [1, 4])
@pytest.mark.parametrize(
    ("name", "backend", "space"),
    [
        ("SAC", "torch", VECTOR),
        ("SAC", "torch", IMAGE),
        ("TQC", "torch", VECTOR),
        ("SAC", "jax", VECTOR),
        ("TQC", "jax", VECTOR),
    ],
    ids=lambda value: value if isinstance(value, str) else "x".join(map(str, value.shape)),
)
def test_targets_move_at_every_third_gradient_step(name, backend, space, steps_a_call):
    settings = {"target_update_interval": 3}
    agent = build_agent(
        small_agent(name, backend=backend, hyperparameters=settings),
        DummyVecEnv([lambda: FakeEnv(space)]),
        seed=0,
    )
    agent.set_logger(Logger(None, []))
    agent.learn(5)
    moved = []
    for _ in range(12 // steps_a_call):
        before = [part.clone() for part in agent.critic_target.parameters()]
        agent.train(steps_a_call, 8)
        refresh_policy(agent)
        after = agent.critic_target.parameters()
        moved.append(any(not torch.equal(*pair) for pair in zip(before, after, strict=True)))
    first = agent._n_updates - 12
    calls = range(first, first + 12, steps_a_call)
    expected = [any((n + 1) % 3 == 0 for n in range(c, c + steps_a_call)) for c in calls]
    assert moved == expected
