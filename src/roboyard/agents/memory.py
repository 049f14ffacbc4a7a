"""How much memory a replay buffer takes, asked before it is filled.

NumPy hands out zeros that take no memory until they are written to, so a buffer that does not
fit would end the run hours later, by a kill without a word.
"""

from __future__ import annotations

import gymnasium
import numpy as np

from roboyard.agents.hyperparameters import hyperparameter_values
from roboyard.config.agents import AgentBase, OffPolicyAgentBase
from roboyard.resources import SMALLEST_MEMORY, require_memory

_FLOATS_PER_TRANSITION = 3
"""Reward, end and time limit."""


def replay_buffer_bytes(
    config: AgentBase,
    observation_space: gymnasium.Space[object],
    action_space: gymnasium.Space[object],
) -> int:
    """Return the size of a full replay buffer [bytes]; 0 for an algorithm without one.

    Source: ``ReplayBuffer`` and ``DictReplayBuffer`` of stable-baselines3, ``common/buffers.py``.
    """
    if not isinstance(config, OffPolicyAgentBase):
        return 0
    values = hyperparameter_values(config)
    capacity = values.get("buffer_size", 1_000_000)
    if not isinstance(capacity, int):
        return 0
    is_dict = isinstance(observation_space, gymnasium.spaces.Dict)
    copies = 1 if values.get("optimize_memory_usage") and not is_dict else 2
    observation = _observation_bytes(observation_space)
    action = 4 * int(np.prod(action_space.shape or (1,)))
    return capacity * (copies * observation + action + 4 * _FLOATS_PER_TRANSITION)


def check_memory(
    config: AgentBase,
    observation_space: gymnasium.Space[object],
    action_space: gymnasium.Space[object],
) -> None:
    """Refuse a replay buffer that this process can't hold when it is full.

    Raises:
        ConfigError: It is larger than what the machine or the container allows.
    """
    size = replay_buffer_bytes(config, observation_space, action_space)
    if size:
        capacity = hyperparameter_values(config).get("buffer_size", 1_000_000)
        require_memory(
            size + SMALLEST_MEMORY,
            f"a full replay buffer (agent.hyperparameters.buffer_size {capacity:,})",
            "Lower agent.hyperparameters.buffer_size, or allow more memory.",
        )


def _observation_bytes(space: gymnasium.Space[object]) -> int:
    if isinstance(space, gymnasium.spaces.Dict):
        return sum(_observation_bytes(part) for part in space.spaces.values())
    shape = space.shape or (1,)
    return int(np.prod(shape)) * np.dtype(space.dtype or np.float32).itemsize
