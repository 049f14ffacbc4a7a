"""SB3's normaliser with the same arithmetic and fewer passes over its small arrays."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

Observations = NDArray[Any] | dict[str, NDArray[Any]]


class NormalizedVecEnv(VecNormalize):
    """Normalises observations and rewards as ``VecNormalize`` does, bit for bit."""

    def __init__(self, venv: VecEnv, **settings: Any) -> None:  # noqa: ANN401  (VecNormalize's)
        """Normalise what ``venv`` returns; see ``VecNormalize``."""
        super().__init__(venv, **settings)
        self.ret_rms = MeanAndVariance()
        if self.norm_obs:
            statistics: Any = self.obs_rms
            vars(self)["obs_rms"] = (
                {key: _fresh(each) for key, each in statistics.items()}
                if isinstance(statistics, dict)
                else _fresh(statistics)
            )

    def normalize_obs(self, obs: Observations) -> Observations:
        """Return normalised observations; the statistics stay as they are."""
        if not self.norm_obs:
            return super().normalize_obs(obs)
        if not isinstance(obs, dict):
            return self._normalize_obs(obs, self.obs_rms).astype(np.float32)  # type: ignore[arg-type]
        normalized = copy.copy(obs)
        for key, part in obs.items():
            if key in self.obs_rms:
                normalized[key] = self._normalize_obs(part, self.obs_rms[key]).astype(np.float32)
            else:
                normalized[key] = copy.deepcopy(part)
        return normalized

    def normalize_reward(self, reward: NDArray[Any]) -> NDArray[Any]:
        """Return normalised rewards; the statistics stay as they are."""
        if self.norm_reward:
            scaled = np.asarray(reward / np.sqrt(self.ret_rms.var + self.epsilon))
            reward = _clip(scaled, self.clip_reward)
        return reward.astype(np.float32)

    def _normalize_obs(self, obs: NDArray[Any], obs_rms: RunningMeanStd) -> NDArray[Any]:
        centred = np.asarray(obs - obs_rms.mean)
        centred /= np.sqrt(obs_rms.var + self.epsilon)
        return _clip(centred, self.clip_obs)


class MeanAndVariance(RunningMeanStd):
    """Running statistics; they are SB3's, bit for bit."""

    def update(self, arr: NDArray[Any]) -> None:
        """Take in a batch, shape (batch, ...)."""
        if arr.dtype.kind != "f" or arr.dtype.itemsize < 4:
            super().update(arr)  # NumPy sums these in another type
            return
        # What np.mean and np.var do, with one sum for both.
        count = len(arr)
        mean = np.add.reduce(arr, axis=0) / count
        deviations = arr - mean
        variance = np.add.reduce(np.square(deviations, out=deviations), axis=0) / count
        if np.ndim(self.mean):
            self.update_from_moments(mean, variance, count)
        else:
            self._update_numbers(float(mean), float(variance), count)

    def _update_numbers(self, batch_mean: float, batch_var: float, batch_count: int) -> None:
        """Do what ``update_from_moments`` does, with Python's numbers, which are faster."""
        count = self.count + batch_count
        delta = batch_mean - float(self.mean)
        squares = float(self.var) * self.count + batch_var * batch_count
        squares += delta * delta * self.count * batch_count / count
        self.mean = np.asarray(float(self.mean) + delta * batch_count / count)
        self.var = np.asarray(squares / count)
        self.count = count


def _fresh(statistics: RunningMeanStd) -> MeanAndVariance:
    return MeanAndVariance(shape=statistics.mean.shape)


def _clip(array: NDArray[Any], limit: float) -> NDArray[Any]:
    """Clip in place."""
    np.maximum(array, -limit, out=array)
    np.minimum(array, limit, out=array)
    return array
