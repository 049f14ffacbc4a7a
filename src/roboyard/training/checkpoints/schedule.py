"""When the next checkpoint is worth its cost.

Young's rule: with a mean time M between failures and a cost c of one checkpoint, the time lost
to writing, c / T of every second, and to doing again, T / 2 for every failure, is least for
``T = sqrt(2 c M)``. (J. W. Young, "A first order approximation to the optimum checkpoint
interval", Communications of the ACM 17(9), 1974.)
"""

from __future__ import annotations

import math

from roboyard.config.schema import CheckpointConfig
from roboyard.training.callbacks.base import Boundary, Every

ASSUMED_COST_S = 0.5
"""Cost of a checkpoint before the first was measured [s]."""
SHORTEST_S = 10.0
"""However cheap they are, no more often than this [s]."""


def best_interval(cost_s: float, between_failures_s: float) -> float:
    """Return the time between checkpoints [s] that loses the least.

    Args:
        cost_s: How long one checkpoint holds training [s].
        between_failures_s: Mean time between failures [s].

    Example:
        >>> best_interval(0.5, 4 * 3600)
        120.0
    """
    return max(SHORTEST_S, math.sqrt(2.0 * cost_s * between_failures_s))


class CheckpointSchedule:
    """Says when a checkpoint is due: by steps, by time, or by what it costs.

    Which checkpoints are written has no influence on what is learnt, so the clock may decide.
    """

    def __init__(self, config: CheckpointConfig) -> None:
        """Follow ``config``."""
        self._config = config
        self.every = Every(config.every_steps)
        """Counts steps, if steps decide."""

    def planned_s(self, cost_s: float) -> float:
        """Return the time between checkpoints that is aimed at [s]; 0 where steps decide.

        Args:
            cost_s: How long the newest took [s]; 0 if there is none yet.
        """
        if self._config.every_steps is not None:
            return 0.0
        if self._config.every_minutes is not None:
            return 60.0 * self._config.every_minutes
        between_failures = 3600.0 * self._config.hours_between_failures
        return best_interval(cost_s or ASSUMED_COST_S, between_failures)

    def is_due(self, boundary: Boundary, age_s: float, cost_s: float) -> bool:
        """Return whether to write one at this boundary.

        Args:
            boundary: Where the run is.
            age_s: Time since the newest checkpoint, or the start [s].
            cost_s: How long the newest took [s]; 0 if there is none yet.
        """
        if self._config.every_steps is not None:
            return self.every.due(boundary)
        return age_s >= self.planned_s(cost_s)
