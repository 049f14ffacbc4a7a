"""Every environment copy in the middle of its episode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from roboyard.training.checkpoints.parts.base import read_arrays, write_arrays


class EnvironmentsPart:
    """Snapshots of the environments.

    They are taken and put back by two methods, ``snapshot() -> bytes`` and
    ``restore(data: bytes) -> str | None``, which every ``BaseRobotEnv`` has, and every other
    training environment gets; see ``roboyard.envs.recorded``. ``restore`` returns why it is not
    exact, if it is not.
    """

    def __init__(self, venv: VecEnv) -> None:
        """Own the copies inside ``venv``."""
        self._venv = venv
        self.problem = ""
        """Why the copies did not come back as they were saved; empty if they did."""

    @property
    def exact(self) -> bool:
        """Whether the episodes go on; if not, new ones have to begin."""
        return not self.problem

    def save(self, folder: Path) -> None:
        """Write ``environments.npz``: one array of bytes a copy."""
        snapshots = self._venv.env_method("snapshot")
        arrays = {
            f"{i:06d}": np.frombuffer(data, dtype=np.uint8) for i, data in enumerate(snapshots)
        }
        write_arrays(folder / "environments.npz", arrays)

    def load(self, folder: Path) -> None:
        """Put every copy back into the middle of its episode."""
        for i, data in enumerate(read_arrays(folder / "environments.npz").values()):
            (problem,) = self._venv.env_method("restore", data.tobytes(), indices=[i])
            if problem:
                self.problem = f"copy {i}: {problem}"
                return
