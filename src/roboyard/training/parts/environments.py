"""Every environment copy in the middle of its episode."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from roboyard.training.parts.base import read_arrays, write_arrays

_LOG = logging.getLogger(__name__)


class EnvironmentsPart:
    """Snapshots of the environments, where they offer them.

    An environment offers a snapshot by two methods, ``snapshot() -> bytes`` and
    ``restore(data: bytes)``, as every ``BaseRobotEnv`` does.
    """

    def __init__(self, venv: VecEnv) -> None:
        """Own the copies inside ``venv``."""
        self._venv = venv
        self.exact = offers_snapshot(venv)
        """Whether a continued run is the run that was never interrupted."""

    def save(self, folder: Path) -> None:
        """Write ``environments.npz``: one array of bytes a copy."""
        if not self.exact:
            return
        snapshots = self._venv.env_method("snapshot")
        arrays = {
            f"{i:06d}": np.frombuffer(data, dtype=np.uint8) for i, data in enumerate(snapshots)
        }
        write_arrays(folder / "environments.npz", arrays)

    def load(self, folder: Path) -> None:
        """Put every copy back into the middle of its episode."""
        path = folder / "environments.npz"
        if not (self.exact and path.exists()):
            self.exact = False
            return
        for i, data in enumerate(read_arrays(path).values()):
            self._venv.env_method("restore", data.tobytes(), indices=[i])


def offers_snapshot(venv: VecEnv) -> bool:
    """Return whether every copy can be saved in the middle of an episode."""
    return bool(venv.has_attr("snapshot") and venv.has_attr("restore"))
