"""TQC with less work around its updates."""

from __future__ import annotations

import sb3_contrib

from roboyard.agents.torch.exploring import LeanExploration
from roboyard.agents.torch.targets import TargetInterval
from roboyard.agents.torch.threads import OwnThreads, torch_threads


class TQC(OwnThreads, TargetInterval, LeanExploration, sb3_contrib.TQC):
    """sb3-contrib's TQC; only acting is faster."""

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Make gradient steps; see SB3."""
        with torch_threads(self.threads):
            super().train(gradient_steps, batch_size)
