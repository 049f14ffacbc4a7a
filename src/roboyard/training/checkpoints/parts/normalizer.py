"""Running statistics of the normaliser and the running episodes of the monitor."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecMonitor, VecNormalize

from roboyard.training.checkpoints.parts.base import AnyArray, read_arrays, write_arrays
from roboyard.training.checkpoints.parts.environments import EnvironmentsPart
from roboyard.training.envs.stack import find_wrapper


class NormalizerPart:
    """State of ``VecNormalize`` and ``VecMonitor``, where the environments have them."""

    def __init__(self, venv: VecEnv, environments: EnvironmentsPart) -> None:
        """Own the wrappers around ``venv``; ``environments`` are restored before."""
        self._normalize = find_wrapper(venv, VecNormalize)
        self._monitor = find_wrapper(venv, VecMonitor)
        self._environments = environments

    def save(self, folder: Path) -> None:
        """Write ``normalizer.npz``."""
        arrays: dict[str, AnyArray] = {}
        for name, statistics in self._statistics().items():
            for field in ("mean", "var", "count"):
                arrays[f"{name}/{field}"] = np.asarray(getattr(statistics, field))
        if self._normalize is not None:
            arrays["discounted_returns"] = self._normalize.returns
        if self._monitor is not None:
            arrays["episode_returns"] = self._monitor.episode_returns
            arrays["episode_lengths"] = self._monitor.episode_lengths
            arrays["episode_count"] = np.asarray(self._monitor.episode_count)
            arrays["elapsed"] = np.asarray(time.time() - self._monitor.t_start)
        write_arrays(folder / "normalizer.npz", arrays)

    def load(self, folder: Path) -> None:
        """Put the statistics and the running episodes back."""
        arrays = read_arrays(folder / "normalizer.npz")
        for name, statistics in self._statistics().items():
            statistics.mean = arrays[f"{name}/mean"]
            statistics.var = arrays[f"{name}/var"]
            statistics.count = float(arrays[f"{name}/count"])
        if self._monitor is not None:
            self._monitor.episode_count = int(arrays["episode_count"])
            self._monitor.t_start = time.time() - float(arrays["elapsed"])
        if self._environments.exact:
            self._load_episodes(arrays)

    def _load_episodes(self, arrays: dict[str, AnyArray]) -> None:
        if self._normalize is not None:
            self._normalize.returns = arrays["discounted_returns"]
        if self._monitor is not None:
            self._monitor.episode_returns = arrays["episode_returns"]
            self._monitor.episode_lengths = arrays["episode_lengths"]

    def _statistics(self) -> dict[str, RunningMeanStd]:
        if self._normalize is None:
            return {}
        statistics = {"rewards": self._normalize.ret_rms}
        observations = getattr(self._normalize, "obs_rms", None)
        if isinstance(observations, dict):
            statistics |= {f"observations.{key}": value for key, value in observations.items()}
        elif observations is not None:
            statistics["observations"] = observations
        return statistics
