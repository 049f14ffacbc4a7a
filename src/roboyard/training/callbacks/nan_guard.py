"""Stops as soon as a number is not finite, and says where."""

from __future__ import annotations

import numpy as np

from roboyard.training import diagnosis
from roboyard.training.callbacks.base import Boundary, RunCallback

PARAMETER_CHECK_INTERVAL = 50
"""Boundaries between looks at all parameters; losses are looked at every time."""


class NanGuardCallback(RunCallback):
    """Checks observations and rewards at every step, losses and parameters at boundaries."""

    def __init__(self) -> None:
        """Start without having seen anything."""
        super().__init__()
        self._boundaries = 0

    def on_boundary(self, boundary: Boundary) -> None:
        """Look at the first observations, the losses and now and then the parameters.

        Raises:
            TrainingError: A number is not finite.
        """
        normalizer = self.model.get_vec_normalize_env()
        observations = self.model._last_obs if normalizer is None else normalizer.old_obs
        diagnosis.check_observations(observations, boundary.step)
        diagnosis.check_losses(self.logger.name_to_value, boundary.step)
        if self._boundaries % PARAMETER_CHECK_INTERVAL == 0 or boundary.final:
            diagnosis.check_parameters(self.model)
        self._boundaries += 1

    def _on_step(self) -> bool:
        # The raw values: once a NaN is in the running mean, every copy's values are NaN.
        normalizer = self.model.get_vec_normalize_env()
        if "new_obs" not in self.locals:
            return True  # ARS steps the environments elsewhere
        for copy in np.flatnonzero(self.locals["dones"]):
            last = self.locals["infos"][copy].get("terminal_observation")
            if last is not None:
                diagnosis.check_terminal(last, int(copy), self.num_timesteps)
        observations, rewards = self.locals["new_obs"], self.locals["rewards"]
        if normalizer is not None:
            observations, rewards = normalizer.old_obs, normalizer.old_reward
        diagnosis.check_observations(observations, self.num_timesteps)
        diagnosis.check_rewards(rewards, self.num_timesteps)
        return True
