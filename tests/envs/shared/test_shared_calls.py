"""Everything that a VecEnv offers besides steps, and how many workers are chosen."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from functools import partial

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from vector_zoo import ZooEnv, nested

from roboyard.config.schema import EnvConfig
from roboyard.envs.vector.factory import make_vec_env, resolve_workers
from roboyard.envs.vector.shared_memory import WorkerPool, choose_workers, measure_step_cost
from roboyard.envs.vector.shared_memory.layout import blocks
from roboyard.envs.vector.shared_memory_vec_env import SharedMemoryVecEnv
from roboyard.errors import ConfigError, TrainingError


@pytest.fixture(scope="module")
def env():
    makers = [partial(ZooEnv, render_mode="rgb_array")] * 3
    makers[1] = lambda: gymnasium.wrappers.TimeLimit(ZooEnv(render_mode="rgb_array"), 5)
    env = SharedMemoryVecEnv(makers, workers=2)
    env.reset()
    yield env
    env.close()


def test_attributes_and_methods_reach_each_environment(env):
    assert env.get_attr("infos") == [True, True, True]
    env.set_attr("infos", False, indices=[0, 2])
    assert env.get_attr("infos", indices=[2, 1]) == [False, True]
    env.set_attr("infos", True)
    assert env.env_method("echo", 3, twice=True, indices=1) == [6]
    assert env.has_attr("steps")
    assert not env.has_attr("wings")
    assert env.metadata == ZooEnv.metadata
    assert env.render_mode == "rgb_array"


def test_payloads_of_megabytes_pass(env):
    payload = np.random.default_rng(0).bytes(5_000_000)
    assert env.env_method("echo", payload, indices=[0, 2]) == [payload, payload]


def test_an_error_in_a_call_keeps_its_type_and_leaves_the_workers_running(env):
    with pytest.raises(AttributeError, match="wings"):
        env.get_attr("wings")
    with pytest.raises(LookupError, match="not today") as caught:
        env.env_method("refuse")
    assert "vector_zoo.py" in str(caught.value.__cause__)
    with pytest.raises((TypeError, TrainingError), match="pickle"):
        env.env_method("unpicklable")
    env.step(np.zeros((3, 2), np.float32))


def test_wrappers_are_recognised_without_importing_them(env):
    assert env.env_is_wrapped(gymnasium.wrappers.TimeLimit) == [False, True, False]
    assert env.env_is_wrapped(gymnasium.Wrapper, indices=[1]) == [True]
    assert env.env_is_wrapped(Monitor) == [False, False, False]
    assert env.env_method("modules", indices=[0]) == [[]]


def test_workers_use_one_thread_and_leave_interrupts_to_the_parent(env):
    assert env.env_method("threads", indices=[0]) == [("1", signal.SIG_IGN)]


def test_rendering_tiles_the_pictures(env):
    env.reset()
    assert [picture.shape for picture in env.get_images()] == [(4, 4, 3)] * 3
    assert env.render().shape == (8, 8, 3)


def test_the_number_of_actions_must_fit(env):
    with pytest.raises(ConfigError, match="2 actions were given for 3 environments"):
        env.step(np.zeros((2, 2), np.float32))


def test_numbers_and_spaces_that_cannot_work_are_refused():
    with pytest.raises(ConfigError, match="0 worker processes for 1 environments"):
        WorkerPool([ZooEnv], workers=0)
    with pytest.raises(ConfigError, match="environment 1 has other spaces than environment 0"):
        WorkerPool([ZooEnv, partial(ZooEnv, "image")], workers=2)
    with pytest.raises(ConfigError, match="environment 0 cannot be sent to a worker"):
        WorkerPool([partial(ZooEnv, render_mode=sys._getframe())], workers=1)


def test_nested_observations_are_refused_by_name():
    with pytest.raises(ConfigError, match="observation space at 'inner' is Dict"):
        WorkerPool([nested], workers=1)


def test_a_hundred_environments_run_on_two_workers():
    env = SharedMemoryVecEnv([ZooEnv] * 100, workers=2)
    env.seed(0)
    assert env.reset().shape == (100, 3)
    for _ in range(20):
        _, rewards, dones, infos = env.step(np.ones((100, 2), np.float32))
    assert (rewards.shape, dones.shape, len(infos)) == ((100,), (100,), 100)
    assert len(env.worker_pids) == 2
    env.close()


def test_more_workers_than_environments_are_not_started():
    pool = WorkerPool([ZooEnv] * 2, workers=8)
    assert len(pool.pids) == 2
    pool.close()


def test_snapshots_cross_processes_exactly():
    config = EnvConfig(id="SimpleRobot")
    env = make_vec_env(config, num_envs=2, seeds=[1, 2], workers=2)
    actions = np.random.default_rng(0).uniform(-1, 1, (10, 2, 1)).astype(np.float32)
    env.reset()
    env.step(actions[0])
    saved = env.env_method("snapshot")
    first = [env.step(action)[0] for action in actions]
    for index, data in enumerate(saved):
        env.env_method("restore", data, indices=[index])
    again = [env.step(action)[0] for action in actions]
    env.close()
    np.testing.assert_array_equal(first, again)


def test_sb3_evaluates_over_workers():
    env = make_vec_env(
        EnvConfig(id="SimpleRobot", max_episode_steps=10), num_envs=2, seeds=[1, 2], workers=1
    )

    class Zero:
        def predict(self, observation, state=None, episode_start=None, deterministic=True):
            return np.zeros((len(observation), 1), np.float32), state

    mean, _ = evaluate_policy(Zero(), env, n_eval_episodes=4, warn=False)
    env.close()
    assert mean > 0


MAIN = """
import gymnasium
from roboyard.config.schema import EnvConfig
from roboyard.envs.vector.factory import make_vec_env
print("main runs")
class Mine(gymnasium.Env):
    observation_space = gymnasium.spaces.Discrete(3)
    action_space = gymnasium.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None): return 2, {}
gymnasium.register("Mine-v0", entry_point=Mine)
env = make_vec_env(EnvConfig(id="Mine-v0"), num_envs=2, seeds=[0, 1], workers=2)
print(env.reset().tolist())
env.close()
"""


def test_a_script_needs_no_main_guard_and_its_registrations_reach_the_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(MAIN)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.count("main runs") == 1
    assert "[2, 2]" in done.stdout
    assert done.stderr == ""


def test_blocks_are_contiguous_and_balanced():
    assert blocks(7, 3) == [range(3), range(3, 5), range(5, 7)]


@pytest.mark.parametrize(
    ("cores", "num_envs", "step_cost", "workers"),
    [
        (1, 16, 1e-3, 0),
        (2, 1, 1e-3, 0),
        (2, 4, 30e-6, 0),
        (2, 16, 250e-6, 2),
        (8, 16, 250e-6, 8),
        (8, 4, 5e-3, 4),
        (64, 100, 1e-3, 50),
    ],
)
def test_workers_are_chosen_by_cost(cores, num_envs, step_cost, workers):
    assert choose_workers(cores=cores, num_envs=num_envs, step_cost=step_cost) == workers


def test_measuring_leaves_global_generators_alone(caplog):
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    assert 0 < measure_step_cost(ZooEnv, seconds=0.005) < 0.1
    with caplog.at_level(logging.INFO):
        resolve_workers(EnvConfig(id="CartPole-v1"), 2)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_wrong_id_is_told_by_the_workers_as_it_is_in_one_process():
    with pytest.raises(ConfigError, match=r"unknown environment 'SimpelRobot'"):
        make_vec_env(EnvConfig(id="SimpelRobot"), num_envs=2, seeds=[0, 1], workers=2)
