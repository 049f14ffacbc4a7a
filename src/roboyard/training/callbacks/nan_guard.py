"""Stops as soon as a loss or a parameter is not finite, and says which."""

from __future__ import annotations

from roboyard.training.callbacks.base import Boundary, RunCallback
from roboyard.training.envs.checked import CheckedVecEnv
from roboyard.training.envs.stack import find_wrapper
from roboyard.training.monitoring import nan_check

PARAMETER_CHECK_INTERVAL = 50
"""Boundaries between looks at all parameters; losses are looked at every time."""


class NanGuardCallback(RunCallback):
    """Checks losses and parameters; ``CheckedVecEnv`` checks what the environments return."""

    def __init__(self) -> None:
        """Start without having seen anything."""
        super().__init__()
        self._boundaries = 0

    def on_boundary(self, boundary: Boundary) -> None:
        """Look at the losses, and now and then at the parameters.

        Raises:
            TrainingError: A number is not finite.
        """
        nan_check.check_losses(self.logger.name_to_value, boundary.step)
        if self._boundaries % PARAMETER_CHECK_INTERVAL == 0 or boundary.final:
            nan_check.check_parameters(self.model)
        self._boundaries += 1

    def _on_rollout_start(self) -> None:
        checked = find_wrapper(self.training_env, CheckedVecEnv)
        if checked is not None:
            checked.steps = self.model.num_timesteps
