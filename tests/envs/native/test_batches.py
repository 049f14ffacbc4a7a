"""Native environments step as one like each alone, on any number of threads, and continue."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from roboyard.config.schema import EnvConfig
from roboyard.envs.native.env import NativeEnv
from roboyard.envs.vector import make_vec_env
from roboyard.envs.vector.batch_vec_env import BatchVecEnv
from roboyard.errors import SimulationError
from roboyard.sim.snapshot import pack, unpack

STEPS = 40
TASKS = ("hopper-v5", "ant-v5", "humanoid-v5")


def actions_of(env: NativeEnv, seed: int) -> NDArray[np.float32]:
    space = env.action_space
    space.seed(seed)
    return np.array([space.sample() for _ in range(STEPS)])


def alone(name: str, seed: int) -> list[tuple[list[float], float, bool]]:
    env = NativeEnv(name)
    env.reset(seed=seed)
    rows = []
    for action in actions_of(env, seed):
        seen, reward, ended, cut, _ = env.step(action)
        if ended or cut:
            seen, _ = env.reset()
        rows.append((seen.tolist(), float(np.float32(reward)), ended or cut))
    return rows


def together(name: str, count: int, threads: int) -> list[list[tuple[list[float], float, bool]]]:
    env = BatchVecEnv([partial(NativeEnv, name)] * count, threads)
    env._seeds = list(range(count))
    env.reset()
    plans = np.stack([actions_of(NativeEnv(name), seed) for seed in range(count)], axis=1)
    rows = []
    for actions in plans:
        seen, rewards, dones, _ = env.step(actions)
        rows.append([
            (seen[n].tolist(), float(rewards[n]), bool(dones[n])) for n in range(count)
        ])  # fmt: skip
    env.close()
    return [list(column) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize("name", TASKS)
def test_threads_and_batch_sizes_leave_trajectories_as_they_are(name: str) -> None:
    expected = [alone(name, seed) for seed in range(4)]
    for threads in (1, 2, 4):
        assert together(name, 4, threads) == expected
    assert together(name, 1, 1) == expected[:1]


@pytest.mark.slow
@pytest.mark.parametrize("count", [16, 64])
def test_large_batches_are_as_each_alone(count: int) -> None:
    expected = [alone("ant-v5", seed) for seed in range(count)]
    for threads in (1, 2, 4):
        assert together("ant-v5", count, threads) == expected


@pytest.mark.parametrize("name", TASKS)
def test_a_restored_environment_goes_on_bit_for_bit(name: str) -> None:
    env, other = NativeEnv(name), NativeEnv(name)
    env.reset(seed=3)
    plan = actions_of(env, 3)
    for action in plan[:10]:
        env.step(action)
    data = env.snapshot()
    expected = [env.step(action)[:2] for action in plan[10:15]]
    expected.append((env.reset()[0], 0.0))
    other.reset(seed=9)
    other.restore(data)
    found = [other.step(action)[:2] for action in plan[10:15]]
    found.append((other.reset()[0], 0.0))
    for (seen, reward), (own, gained) in zip(expected, found, strict=True):
        assert seen.tolist() == own.tolist()
        assert reward == gained


def test_a_snapshot_of_another_model_or_version_is_refused_by_name() -> None:
    env, other = NativeEnv("hopper-v5"), NativeEnv("walker2d-v5")
    env.reset(seed=0)
    with pytest.raises(SimulationError, match="model"):
        other.restore(env.snapshot())
    state = unpack("native environment", env.snapshot())
    inner = unpack("native simulation", state["sim"]) | {"version": "2.1.0"}
    changed = pack("native environment", state | {"sim": pack("native simulation", inner)})
    with pytest.raises(SimulationError, match=r"version 2\.1\.0"):
        env.restore(changed)


def test_the_environments_of_a_native_task_need_no_workers() -> None:
    config = EnvConfig(id="roboyard/hopper-v5")
    env = make_vec_env(config, num_envs=3, seeds=[0, 1, 2], resumable=True)
    assert isinstance(env, BatchVecEnv)
    assert env.reset().shape == (3, 11)
    env.close()
