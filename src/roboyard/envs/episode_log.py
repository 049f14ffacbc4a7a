"""The record of an episode, from which it can be repeated exactly.

Needed where the engine's saved states lose contacts; see ``roboyard.sim.pybullet.contacts``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np


class EpisodeLog:
    """What an episode began with, and the actions since."""

    def __init__(self) -> None:
        """Start with an empty record."""
        self.generator: dict[str, Any] = {}
        """State of the random generator before the reset."""
        self.python_state: dict[str, Any] = {}
        """The environment's own state before the reset."""
        self.options: dict[str, Any] = {}
        """Options of the reset."""
        self.actions: list[Any] = []
        """Actions since the reset."""

    def begin(
        self, generator: Mapping[str, Any], python_state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        """Begin an episode."""
        self.generator = dict(generator)
        self.python_state = copy.deepcopy(python_state)
        self.options = options
        self.actions = []

    def add(self, action: Any) -> None:  # noqa: ANN401
        """Add the action of one control step."""
        self.actions.append(copy.copy(action))

    def to_record(self) -> dict[str, Any]:
        """Return it in a form that a snapshot can hold."""
        is_table = bool(self.actions) and isinstance(self.actions[0], np.ndarray)
        return {
            "generator": self.generator,
            "python": self.python_state,
            "options": self.options,
            "actions": np.stack(self.actions) if is_table else self.actions,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> EpisodeLog:
        """Return what :meth:`to_record` made the record from."""
        log = cls()
        log.begin(record["generator"], record["python"], record["options"])
        log.actions = list(record["actions"])
        return log
