"""The size of a replay buffer, against the real one."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

from roboyard.agents.memory import check_memory, replay_buffer_bytes
from roboyard.config.agents import AgentBase
from roboyard.config.load import load
from roboyard.errors import ConfigError

ACTION = gymnasium.spaces.Box(-1, 1, (3,), np.float32)


def agent(size: int, algorithm: str = "SAC") -> AgentBase:
    text: dict[str, object] = {"algorithm": algorithm}
    if algorithm == "SAC":
        text["hyperparameters"] = {"buffer_size": size}
    train = {"total_steps": 1000}
    env = {"id": "roboyard/SimpleRobot-v0"}
    return load({"name": "x", "env": env, "agent": text, "train": train}).agent


def real(buffer: ReplayBuffer) -> int:
    arrays = [buffer.actions, buffer.rewards, buffer.dones, buffer.timeouts]
    for part in (buffer.observations, buffer.next_observations):
        arrays += part.values() if isinstance(part, dict) else [part]
    return sum(array.nbytes for array in arrays)


def test_the_size_is_that_of_the_real_buffer() -> None:
    space = gymnasium.spaces.Box(-1, 1, (17,), np.float32)
    buffer = ReplayBuffer(1000, space, ACTION)
    assert replay_buffer_bytes(agent(1000), space, ACTION) == real(buffer)


def test_pictures_count_their_own_bytes() -> None:
    space = gymnasium.spaces.Dict(
        picture=gymnasium.spaces.Box(0, 255, (3, 36, 36), np.uint8),
        joints=gymnasium.spaces.Box(-1, 1, (5,), np.float32),
    )
    buffer = DictReplayBuffer(100, space, ACTION)
    assert replay_buffer_bytes(agent(100), space, ACTION) == real(buffer)


def test_a_buffer_beyond_the_machine_is_refused_by_its_key() -> None:
    space = gymnasium.spaces.Box(0, 255, (160, 160, 3), np.uint8)
    with pytest.raises(ConfigError, match=r"hyperparameters\.buffer_size 100,000,000.* GiB"):
        check_memory(agent(100_000_000), space, ACTION)


def test_algorithms_without_a_buffer_need_none() -> None:
    space = gymnasium.spaces.Box(0, 255, (160, 160, 3), np.uint8)
    assert replay_buffer_bytes(agent(0, "PPO"), space, ACTION) == 0
