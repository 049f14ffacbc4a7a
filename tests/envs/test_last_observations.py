"""The last observation of an episode is the environment's, however many processes step."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from roboyard.config.schema import EnvConfig
from roboyard.envs.vector.factory import make_vec_env


class Same(gymnasium.Env):
    """Returns one array again and again, as environments may that write into buffers."""

    observation_space = gymnasium.spaces.Box(-9.0, 9.0, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self) -> None:
        self._seen = np.zeros(2, np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        super().reset(seed=seed)
        self._seen[:] = 0.0, -1.0
        return self._seen, {}

    def step(self, action: np.ndarray) -> tuple:
        self._seen += 1.0, 0.25
        return self._seen, 1.0, False, bool(self._seen[0] >= 4), {}


@pytest.mark.parametrize("workers", [0, 2])
def test_an_array_that_the_reset_writes_into_does_not_change_it(workers: int) -> None:
    envs = make_vec_env(EnvConfig(id=f"{__name__}:Same"), num_envs=2, seeds=[1, 2], workers=workers)
    try:
        envs.reset()
        for _ in range(4):
            first, _, _, infos = envs.step(np.zeros((2, 1), np.float32))
        assert infos[0]["terminal_observation"].tolist() == [4.0, 0.0]
        assert first[0].tolist() == [0.0, -1.0]
    finally:
        envs.close()
