"""Exploration of off-policy algorithms: SB3's, without a walk through all modules at each step."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm


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
    """An off-policy algorithm whose policy remembers its mode."""

    def _setup_model(self) -> None:
        super()._setup_model()
        vars(self.policy)["set_training_mode"] = RememberedMode(self.policy)
