"""The policy in the middle of training, as something that predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.base_class import BaseAlgorithm

Observation = npt.NDArray[Any] | dict[str, npt.NDArray[Any]]
State = tuple[npt.NDArray[Any], ...]


class LivePolicy:
    """Predicts with an algorithm's current network and the normaliser's current statistics.

    It takes the environment's own observations and changes nothing in the algorithm.
    """

    name = "the policy in training"

    def __init__(self, algorithm: BaseAlgorithm) -> None:
        """Look at ``algorithm``."""
        self._algorithm = algorithm

    def predict(
        self,
        observation: Observation,
        state: State | None = None,
        episode_start: npt.NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> tuple[npt.NDArray[Any], State | None]:
        """Return actions for a batch of observations, and the memory of a recurrent policy."""
        normalizer = self._algorithm.get_vec_normalize_env()
        if normalizer is not None:
            observation = normalizer.normalize_obs(observation)
        return self._algorithm.policy.predict(observation, state, episode_start, deterministic)
