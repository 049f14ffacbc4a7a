"""Minibatches are SB3's, bit for bit."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.buffers import DictReplayBuffer, NStepReplayBuffer, ReplayBuffer

from roboyard.agents.torch.sampling import sample
from roboyard.testing.fake_envs import FORCE, IMAGE, MIXED, VECTOR, batch_of

SMALL = {"optimize_memory_usage": True, "handle_timeout_termination": False}


def filled(kind, space, *, count=3, steps=40, size=60, **options):
    """Return a buffer with random transitions of ``count`` environments."""
    buffer = kind(size * count, space, FORCE, device="cpu", n_envs=count, **options)
    draw = np.random.default_rng(0)
    for step in range(steps):
        seen, following = (batch_of(space, count, seed) for seed in (2 * step, 2 * step + 1))
        actions = batch_of(FORCE, count, step)
        rewards, dones = draw.normal(size=count), draw.random(count) < 0.4
        infos = [{"TimeLimit.truncated": bool(draw.random() < 0.5)} for _ in range(count)]
        buffer.add(seen, following, actions, rewards, dones, infos)
    return buffer


def both(buffer, env=None):
    """Return minibatches of SB3 and ours, drawn from the same state, and the states after it."""
    found = []
    for draw in (buffer.sample, lambda size, env: sample(buffer, size, env)):
        np.random.seed(7)
        found.append((draw(64, env=env), np.random.randint(2**31)))
    return zip(*found, strict=True)


@pytest.mark.parametrize(
    ("kind", "space", "options"),
    [
        (ReplayBuffer, VECTOR, {}),
        (ReplayBuffer, VECTOR, {"count": 1}),
        (ReplayBuffer, VECTOR, {"steps": 100}),  # goes round
        (ReplayBuffer, IMAGE, {}),
        (ReplayBuffer, VECTOR, SMALL),
        (NStepReplayBuffer, VECTOR, {"n_steps": 3, "gamma": 0.9}),
        (DictReplayBuffer, MIXED, {}),
    ],
)  # fmt: skip
def test_every_kind_of_buffer_gives_what_sb3_draws_from_it(kind, space, options):
    (theirs, ours), (after_theirs, after_ours) = both(filled(kind, space, **options))
    assert after_theirs == after_ours
    assert type(theirs) is type(ours)
    for name, expected, found in zip(theirs._fields, theirs, ours, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0, msg=name)


def test_a_minibatch_is_a_copy():
    buffer = filled(ReplayBuffer, VECTOR)
    drawn = sample(buffer, 16, None)
    before = drawn.observations.clone()
    buffer.observations[:] = 0
    assert torch.equal(drawn.observations, before)


def test_what_is_to_be_normalised_is_normalised():
    class Doubling:
        def normalize_obs(self, observations):
            return 2 * observations

        def normalize_reward(self, rewards):
            return 2 * rewards

    buffer = filled(ReplayBuffer, VECTOR)
    (theirs, ours), _ = both(buffer, Doubling())
    plain = next(iter(both(buffer)))[0]
    assert torch.equal(ours.rewards, theirs.rewards)
    assert torch.equal(ours.observations, 2 * plain.observations)
