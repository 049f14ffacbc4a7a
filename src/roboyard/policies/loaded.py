"""A policy that acts on the environment's own observations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from stable_baselines3.common.policies import BasePolicy

from roboyard.errors import PolicyError
from roboyard.policies.runtime.normalizer import Observation, ObservationNormalizer
from roboyard.policies.spaces import AnySpace

State = tuple[np.ndarray, ...]
"""Recurrent state: arrays of shape (layers, batch, width)."""


class Prediction(NamedTuple):
    """Actions and the recurrent state after them."""

    actions: np.ndarray
    state: State | None


class LoadedPolicy:
    """A network with its normaliser; follows stable_baselines3's ``PolicyPredictor``."""

    def __init__(
        self,
        policy: BasePolicy,
        normalizer: ObservationNormalizer | None,
        observation_space: AnySpace,
        action_space: AnySpace,
    ) -> None:
        """Put the parts together.

        Args:
            policy: The network.
            normalizer: Applied to every observation, if given.
            observation_space: Of one environment, before normalisation.
            action_space: Of one environment.
        """
        self.policy = policy
        self.normalizer = normalizer
        self.observation_space = observation_space
        self.action_space = action_space

    def predict(
        self,
        observation: Observation,
        state: State | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> Prediction:
        """Choose actions.

        Args:
            observation: One observation of the environment or a batch, not normalised.
            state: What the previous call returned; None at the start.
            episode_start: Which observations begin an episode, shape (batch,); a recurrent
                policy forgets its state there.
            deterministic: Take the most likely action instead of a sample.

        Returns:
            The actions, within the action space, and the recurrent state (None without memory).

        Raises:
            PolicyError: The observation does not fit the policy's observation space.
        """
        try:
            if self.normalizer is not None:
                observation = self.normalizer(observation)
            actions, state = self.policy.predict(observation, state, episode_start, deterministic)
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            raise PolicyError(
                f"the observation does not fit the policy: it has {_describe(observation)}, "
                f"but the policy reads {self.observation_space}."
            ) from error
        return Prediction(actions, state)


def _describe(observation: object) -> str:
    if isinstance(observation, dict):
        return ", ".join(f"'{key}': {_describe(value)}" for key, value in observation.items())
    return (
        f"shape {np.shape(observation)}"
        if isinstance(observation, np.ndarray)
        else (f"type {type(observation).__name__}")
    )
