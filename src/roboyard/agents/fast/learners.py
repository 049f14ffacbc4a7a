"""What the algorithms with an update of their own share."""

from __future__ import annotations

from functools import cached_property

from stable_baselines3.common.base_class import BaseAlgorithm

from roboyard.agents.fast.lanes import Lanes
from roboyard.agents.fast.programs import Programs


class ParallelLearner(BaseAlgorithm):
    """An algorithm that learns in lanes, with recorded programs."""

    lanes = Lanes()

    @cached_property
    def programs(self) -> Programs:
        """What the update has recorded."""
        return Programs()

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "lanes", "programs"]
