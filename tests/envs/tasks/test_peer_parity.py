"""The first eight tasks are those of pybullet_envs_gymnasium 0.6.0: same numbers, step by step."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from pybullet_envs_gymnasium import gym_locomotion_envs as locomotion
from pybullet_envs_gymnasium import gym_manipulator_envs as manipulation
from pybullet_envs_gymnasium import gym_pendulum_envs as pendulums

from roboyard.envs.task_env import TaskEnv

STEPS = 1000
TOLERANCE = 1e-5
PEERS: dict[str, type[gymnasium.Env]] = {
    "hopper-run": locomotion.HopperBulletEnv,
    "walker2d-run": locomotion.Walker2DBulletEnv,
    "halfcheetah-run": locomotion.HalfCheetahBulletEnv,
    "ant-run": locomotion.AntBulletEnv,
    "humanoid-run": locomotion.HumanoidBulletEnv,
    "cartpole-balance": pendulums.InvertedPendulumBulletEnv,
    "cartpole-swingup": pendulums.InvertedPendulumSwingupBulletEnv,
    "reacher": manipulation.ReacherBulletEnv,
}


def fresh_peer(task: str) -> gymnasium.Env:
    """The peer counts the floor as a part of the robot from its second episode on; start there."""
    peer = PEERS[task]()
    peer.reset(seed=0)
    return peer


def actions_of(env: TaskEnv, seed: int) -> np.ndarray:
    """Smooth and jerky, large and small: a random walk that leaves [-1, 1] now and then."""
    generator = np.random.default_rng(seed)
    jumps = generator.normal(0.0, 0.4, (STEPS, *env.action_space.shape))
    walk = np.empty_like(jumps)
    value = np.zeros(env.action_space.shape)
    for step, jump in enumerate(jumps):
        value = 0.8 * value + jump
        walk[step] = value
    return walk.astype(np.float32)


def assert_same(peer: tuple[Any, ...], ours: tuple[Any, ...], step: int) -> None:
    np.testing.assert_allclose(ours[0], peer[0], rtol=0, atol=TOLERANCE, err_msg=f"step {step}")
    if len(peer) > 2:
        assert ours[1] == pytest.approx(peer[1], rel=0, abs=TOLERANCE), f"step {step}"
        assert ours[2] == peer[2], f"step {step}"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("task", PEERS)
def test_a_thousand_steps_equal_the_peers(task: str, seed: int) -> None:
    """Episodes end at the same steps, and the next ones start alike."""
    peer, ours = fresh_peer(task), TaskEnv(task)
    assert_same(peer.reset(seed=seed), ours.reset(seed=seed), 0)
    for step, action in enumerate(actions_of(ours, seed)):
        theirs = peer.step(action)
        assert_same(theirs, ours.step(action), step)
        if theirs[2]:
            assert_same(peer.reset(), ours.reset(), step)
    peer.close()
    ours.close()


@pytest.mark.parametrize("task", ["hopper-run", "walker2d-run", "ant-run", "cartpole-balance"])
def test_steps_beyond_the_end_of_an_episode_equal_the_peers(task: str) -> None:
    """A robot that lies on the ground has many contacts: the hardest part to keep the same."""
    peer, ours = fresh_peer(task), TaskEnv(task)
    assert_same(peer.reset(seed=7), ours.reset(seed=7), 0)
    for step, action in enumerate(actions_of(ours, 7)):
        assert_same(peer.step(action), ours.step(action), step)
    peer.close()
    ours.close()


def test_the_compat_switch_gives_the_first_reward_of_a_fresh_peer() -> None:
    peer = PEERS["hopper-run"]()
    switch = {"rewards": {"progress": {"params": {"compat_first_episode": True}}}}
    compat, mended = TaskEnv("hopper-run", overrides=switch), TaskEnv("hopper-run")
    first = [env.reset(seed=3) for env in (peer, compat, mended)]
    assert_same(first[0], first[1], 0)
    action = np.zeros(3, np.float32)
    theirs = peer.step(action)
    assert_same(theirs, compat.step(action), 1)
    assert abs(mended.step(action)[1] - theirs[1]) > 0.1
    for env in (peer, compat, mended):
        env.close()
