"""TRPO with the same rollouts in less time."""

from __future__ import annotations

import sb3_contrib

from roboyard.agents.torch.rollouts import OverlappedRollouts
from roboyard.agents.torch.threads import OwnThreads, torch_threads


class TRPO(OwnThreads, OverlappedRollouts, sb3_contrib.TRPO):
    """sb3-contrib's TRPO; only the rollouts are faster."""

    def train(self) -> None:
        """Learn from the rollout; see SB3."""
        with torch_threads(self.threads):
            super().train()
