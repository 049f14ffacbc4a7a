"""What goes to a network and what comes from it, whoever asked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from roboyard.policies.runtime.observation_check import Observation
from roboyard.policies.runtime.policy import State


class Query(NamedTuple):
    """A checked request."""

    observation: Observation
    """Batch first."""
    rows: int
    """How many observations."""
    state: State | None = None
    """Recurrent state before."""
    episode_start: np.ndarray | None = None
    """Which observations begin an episode, shape (rows,)."""
    seeds: tuple[int | None, ...] | None = None
    """Sample the action of each row with its seed; None takes the likeliest."""


class Answer(NamedTuple):
    """What the network said."""

    actions: np.ndarray
    """Shape (rows, ...)."""
    state: State | None
    """Recurrent state after."""
