"""Normalisation of observations by frozen statistics, in NumPy alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np
from gymnasium import spaces

from roboyard.errors import PolicyError
from roboyard.policies.spaces import AnySpace

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecNormalize

Observation = np.ndarray | dict[str, np.ndarray]
"""One array, or one for each key of a Dict space."""

_WHOLE = ""
"""Key of the statistics of an observation that is one array."""


class ObservationNormalizer:
    """``clip((observation - mean) / sqrt(var + epsilon))`` as float32, for each entry.

    Gives the same bits as stable_baselines3's ``VecNormalize.normalize_obs``.
    """

    def __init__(
        self,
        mean: np.ndarray | Mapping[str, np.ndarray],
        var: np.ndarray | Mapping[str, np.ndarray],
        clip: float = 10.0,
        epsilon: float = 1e-8,
    ) -> None:
        """Hold the statistics.

        Args:
            mean: Shape of the observation; for Dict observations one for each key that is
                normalised, and other keys pass unchanged.
            var: Variance, like ``mean``.
            clip: Largest absolute value of a normalised entry.
            epsilon: Added to the variance.

        Raises:
            PolicyError: The statistics do not match or are not finite.
        """
        self.clip = float(clip)
        self.epsilon = float(epsilon)
        self.mean = _by_key(mean)
        self.var = _by_key(var)
        self._check()
        self._std = {key: np.sqrt(value + self.epsilon) for key, value in self.var.items()}

    def _check(self) -> None:
        if self.mean.keys() != self.var.keys():
            raise PolicyError("the normaliser's mean and variance are not for the same keys.")
        if not (self.clip > 0.0 and self.epsilon >= 0.0):
            raise PolicyError("the normaliser's clip or epsilon is out of range.")
        for key, mean in self.mean.items():
            var = self.var[key]
            if mean.shape != var.shape or not np.isfinite([mean, var]).all() or (var < 0).any():
                where = f" for '{key}'" if key else ""
                raise PolicyError(f"the normaliser's statistics{where} are wrong or not finite.")

    @classmethod
    def from_vec_normalize(cls, env: VecNormalize) -> Self | None:
        """Copy the statistics of a ``VecNormalize``; None if it leaves observations alone."""
        if not env.norm_obs:
            return None
        stats = env.obs_rms if isinstance(env.obs_rms, dict) else {_WHOLE: env.obs_rms}
        mean = {key: np.array(entry.mean) for key, entry in stats.items()}
        var = {key: np.array(entry.var) for key, entry in stats.items()}
        return cls(mean, var, env.clip_obs, env.epsilon)

    def __call__(self, observation: Observation) -> Observation:
        """Return the normalised observation; the argument is left as it is.

        Args:
            observation: One observation or a batch of them.
        """
        if not isinstance(observation, dict):
            return self._normalize(_WHOLE, observation)
        return {
            key: self._normalize(key, value) if key in self.mean else value
            for key, value in observation.items()
        }

    def _normalize(self, key: str, value: np.ndarray) -> np.ndarray:
        scaled = (value - self.mean[key]) / self._std[key]
        clipped: np.ndarray = np.clip(scaled, -self.clip, self.clip).astype(np.float32)
        return clipped

    def check_space(self, space: AnySpace) -> None:
        """Refuse statistics that are not for this observation space.

        Raises:
            PolicyError: A key or a shape differs.
        """
        parts = space.spaces if isinstance(space, spaces.Dict) else {_WHOLE: space}
        for key, mean in self.mean.items():
            if key not in parts or parts[key].shape != mean.shape:
                raise PolicyError(
                    f"the normaliser has statistics of shape {mean.shape}"
                    f"{f' for key {key!r}' if key else ''}, "
                    f"which do not fit the observation space {space}."
                )

    def output_space(self, space: AnySpace) -> AnySpace:
        """Return the space of normalised observations, as ``VecNormalize`` declares it.

        Only images change: their entries are no longer whole numbers from 0 to 255.
        """
        if isinstance(space, spaces.Dict):
            parts = [
                (key, self._output_part(part) if key in self.mean else part)
                for key, part in space.spaces.items()
            ]
            return spaces.Dict(OrderedDict(parts))
        return self._output_part(space)

    def _output_part(self, space: AnySpace) -> AnySpace:
        is_image = isinstance(space, spaces.Box) and len(space.shape) == 3
        if not (is_image and space.dtype == np.uint8):
            return space
        return spaces.Box(-self.clip, self.clip, shape=space.shape, dtype=np.float32)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the statistics under the names ``mean:<key>`` and ``var:<key>``."""
        named = {f"mean:{key}": value for key, value in self.mean.items()}
        return named | {f"var:{key}": value for key, value in self.var.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], clip: float, epsilon: float) -> Self:
        """Return the normaliser whose ``to_arrays`` gave these.

        Raises:
            PolicyError: Names are unknown, or the statistics do not match.
        """
        found: dict[str, dict[str, np.ndarray]] = {"mean": {}, "var": {}}
        for name, array in arrays.items():
            kind, colon, key = name.partition(":")
            if not colon or kind not in found:
                raise PolicyError(f"the normaliser has an unknown entry '{name}'.")
            found[kind][key] = array
        return cls(found["mean"], found["var"], clip, epsilon)


def _by_key(value: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    parts = value if isinstance(value, Mapping) else {_WHOLE: value}
    return {key: np.asarray(part, dtype=np.float64) for key, part in parts.items()}
