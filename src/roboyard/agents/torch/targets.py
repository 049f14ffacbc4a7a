"""Target networks that move at each n-th gradient step of the run."""

from __future__ import annotations

from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm


class TargetInterval(OffPolicyAlgorithm):
    """Counts ``target_update_interval`` over the run.

    SB3's SAC and sb3-contrib's TQC count within one call of ``train``, so that with one gradient
    step a call, the default, the targets move at each step whatever the interval.
    """

    target_update_interval: int
    tau: float

    @property
    def targets_are_due(self) -> bool:
        """Whether the next gradient step moves the targets."""
        return (self._n_updates + 1) % self.target_update_interval == 0

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Make gradient steps; see SB3."""
        if self.target_update_interval == 1:
            super().train(gradient_steps, batch_size)
            return
        tau = self.tau
        try:
            for _ in range(gradient_steps):
                self.tau = tau if self.targets_are_due else 0.0
                super().train(1, batch_size)
        finally:
            self.tau = tau
