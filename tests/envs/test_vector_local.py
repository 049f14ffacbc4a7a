"""Robot environments in this process give exactly what SB3's ``DummyVecEnv`` gives."""

import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from roboyard.config.schema import EnvConfig
from roboyard.envs import SimpleRobotEnv
from roboyard.envs.factory import make_env
from roboyard.envs.vector.factory import make_vec_env
from roboyard.envs.vector.lockstep_vec_env import LocalVecEnv, LockstepVecEnv

NUM_ENVS = 3
SEEDS = [4, 9, 2]


class ReusingEnv(SimpleRobotEnv):
    """One that hands out the same array and the same list again and again."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode=render_mode, max_episode_steps=2)
        self._shown = np.zeros(4, np.float32)
        self._counts = [0]

    def _observe(self):
        self._shown[:] = super()._observe()
        return self._shown

    def _info(self):
        self._counts[0] = self.elapsed_steps
        return {"counts": self._counts}


def trajectory(env, actions):
    env.set_options({"level": 2})
    yield env.reset(), list(env.reset_infos)
    for row in actions:
        yield env.step(row), list(env.reset_infos)


@pytest.mark.parametrize("name", ["SimpleRobot", "hopper-run", "panda-reach"])
def test_trajectories_and_infos_are_those_of_the_dummy(name):
    config = EnvConfig(id=name, max_episode_steps=12)
    local = make_vec_env(config, num_envs=NUM_ENVS, seeds=SEEDS, workers=0)
    assert type(local) is LockstepVecEnv
    dummy = DummyVecEnv([lambda: make_env(config)] * NUM_ENVS)
    dummy._seeds = list(SEEDS)
    shape = (40, NUM_ENVS, *local.action_space.shape)
    actions = np.random.default_rng(0).uniform(-1.5, 1.5, shape).astype(np.float32)
    pairs = zip(trajectory(local, actions), trajectory(dummy, actions), strict=True)
    for result, expected in pairs:
        np.testing.assert_equal(result, expected)
    local.close(), dummy.close()


def test_an_environment_may_use_its_arrays_and_lists_again():
    env = LockstepVecEnv([ReusingEnv] * 2)
    first = env.reset()
    before = first.copy()
    env.step(np.ones((2, 1), np.float32))
    _, _, dones, infos = env.step(np.ones((2, 1), np.float32))
    assert dones.all()
    ends = [info["terminal_observation"].copy() for info in infos]
    observations, _, _, _ = env.step(np.ones((2, 1), np.float32))
    np.testing.assert_array_equal(first, before)
    for info, end, now in zip(infos, ends, observations, strict=True):
        assert info["counts"] == [2]
        np.testing.assert_array_equal(info["terminal_observation"], end)
        assert not np.array_equal(end, now)
    env.close()


def test_environments_of_others_step_one_after_the_other():
    env = make_vec_env(EnvConfig(id="Pendulum-v1"), num_envs=2, seeds=[0, 1], workers=0)
    assert type(env) is LocalVecEnv
    env.close()
