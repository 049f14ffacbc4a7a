"""Exploration of off-policy algorithms: SB3's, without walks through modules at each step."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy

from roboyard.agents.torch.choosing import Chooser


class RememberedMode:
    """A policy's ``set_training_mode`` that does nothing where the policy is in that mode.

    SB3 sets the mode before each rollout and each prediction, module by module, which takes
    longer than the prediction itself.
    """

    def __init__(self, policy: Any) -> None:  # noqa: ANN401  (SB3 has no type of its own for it)
        """Set the modes of ``policy``, which has an actor and a critic."""
        self._policy = policy

    def __call__(self, mode: bool) -> None:
        """Put the policy into training mode (True) or evaluation mode (False)."""
        policy = self._policy
        if not (policy.training is policy.actor.training is policy.critic.training is mode):
            type(policy).set_training_mode(policy, mode)


class LeanExploration(OffPolicyAlgorithm):
    """An off-policy algorithm whose policy remembers its mode and takes vectors as they are."""

    @cached_property
    def _takes_vectors(self) -> bool:
        policy, space = self.policy, self.observation_space
        names = ("predict", "obs_to_tensor", "unscale_action")
        kept = all(getattr(type(policy), name) is getattr(BasePolicy, name) for name in names)
        is_vector = isinstance(space, Box) and len(space.shape) == 1 and space.dtype == np.float32
        return kept and is_vector and isinstance(self.action_space, Box) and policy.squash_output

    @cached_property
    def _chooser(self) -> Chooser:
        return Chooser(self.policy)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_takes_vectors", "_chooser"]

    def predict(
        self,
        observation: np.ndarray[Any, Any] | dict[str, np.ndarray[Any, Any]],
        state: tuple[np.ndarray[Any, Any], ...] | None = None,
        episode_start: np.ndarray[Any, Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray[Any, Any], tuple[np.ndarray[Any, Any], ...] | None]:
        """Return actions; see SB3, whose checks a batch of vectors does not need."""
        if not (
            isinstance(observation, np.ndarray)
            and observation.dtype == np.float32
            and observation.ndim == 2
            and self._takes_vectors
            and observation.shape[1:] == self.observation_space.shape
        ):
            return super().predict(observation, state, episode_start, deterministic)
        policy: Any = self.policy
        policy.set_training_mode(False)
        with torch.no_grad():
            vectors = torch.tensor(observation, device=self.device)
            actions = self._chooser(vectors, deterministic).cpu().numpy()
        actions = actions.reshape((-1, *policy.action_space.shape))
        return policy.unscale_action(actions), state

    def _setup_model(self) -> None:
        super()._setup_model()
        vars(self.policy)["set_training_mode"] = RememberedMode(self.policy)
