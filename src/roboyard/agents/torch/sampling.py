"""Minibatches of a replay buffer, drawn as SB3 draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor


def sample(buffer: ReplayBuffer, size: int, env: VecNormalize | None) -> ReplayBufferSamples:
    """Return what ``buffer.sample`` returns, from the same random numbers.

    It takes half the time where the buffer is SB3's plain one and nothing is to be normalised:
    rows are found by one index instead of two, and are not copied again.

    Args:
        buffer: What to draw from.
        size: How many transitions.
        env: Normalises what is drawn, as for ``buffer.sample``.
    """
    if env is not None or type(buffer) is not ReplayBuffer or buffer.optimize_memory_usage:
        return buffer.sample(size, env=env)
    end = buffer.buffer_size if buffer.full else buffer.pos
    steps = np.random.randint(0, end, size=size)
    rows = steps * buffer.n_envs + np.random.randint(0, high=buffer.n_envs, size=(size,))

    def chosen(column: NDArray[Any]) -> NDArray[Any]:
        return column.reshape(-1, *column.shape[2:]).take(rows, axis=0)

    def tensor(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(buffer.device)

    # An episode that ran out of time goes on.
    dones = chosen(buffer.dones) * (1 - chosen(buffer.timeouts))
    return ReplayBufferSamples(
        tensor(chosen(buffer.observations)),
        tensor(chosen(buffer.actions)),
        tensor(chosen(buffer.next_observations)),
        tensor(dones.reshape(-1, 1)),
        tensor(chosen(buffer.rewards).reshape(-1, 1)),
    )
