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

    @property
    def learns_in_graphs(self) -> bool:
        """Whether each step of the networks is launched as one, see :class:`Graphs`."""
        return self.device.type == "cuda"

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "lanes", "programs"]
