"""Algorithms of which only the rollouts are faster."""

from __future__ import annotations

import sb3_contrib
import stable_baselines3

from roboyard.agents.fast.rollouts import OverlappedRollouts


class A2C(OverlappedRollouts, stable_baselines3.A2C):
    """SB3's A2C with the same rollouts in less time."""


class TRPO(OverlappedRollouts, sb3_contrib.TRPO):
    """sb3-contrib's TRPO with the same rollouts in less time."""
