"""The observation: terms in groups, one array a group."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray

from roboyard.config.tasks import ObservationTermConfig
from roboyard.envs.terms.binding import BoundTerm, bind
from roboyard.envs.terms.registry import OBSERVATIONS, TermSetup
from roboyard.errors import ConfigError
from roboyard.robots import RobotState

Floats32 = NDArray[np.float32]
Observation = Floats32 | dict[str, Floats32]

MAX_ENTRIES = 1_000_000


class Entry(NamedTuple):
    """One number of an observation."""

    name: str
    """Term, and which of its values."""
    unit: str
    """Unit."""


class _Group:
    """Terms whose values stand one after the other in one array."""

    def __init__(self, terms: list[tuple[BoundTerm, float]], clip: float | None) -> None:
        self.terms = terms
        self.size = 0
        self.entries: list[Entry] = []
        self._writes: list[tuple[int | slice, Callable[[RobotState], Any]]] = []
        self._clip = clip
        # Scalars of the array's own type: numpy converts Python's at every call.
        self._low, self._high = np.float32(-(clip or 0.0)), np.float32(clip or 0.0)

    def measure(self, state: RobotState) -> None:
        """Find out how many values each term gives, by asking once."""
        for term, scale in self.terms:
            value = np.asarray(term.call(state), dtype=np.float64)
            if value.ndim > 1:
                raise ConfigError(
                    f"observations.{term.name}: the term gives an array of shape {value.shape}; "
                    "allowed are numbers and flat arrays."
                )
            where = slice(self.size, self.size + value.size) if value.ndim else self.size
            self._writes.append((where, _scaled(term.call, scale)))
            self.entries += _entries(term, value)
            self.size += value.size
        if self.size > MAX_ENTRIES:
            raise ConfigError(f"observations: {self.size} entries; at most {MAX_ENTRIES}.")

    def space(self) -> Box:
        """Return the space of the array."""
        # The largest finite number where there is no limit: checkers take infinity for a slip.
        bound = np.finfo(np.float32).max if self._clip is None else np.float32(self._clip)
        return Box(-bound, bound, (self.size,), np.float32)

    def observe(self, state: RobotState) -> Floats32:
        """Return the array, new at each call."""
        values: Floats32 = np.empty(self.size, np.float32)
        for where, call in self._writes:
            values[where] = call(state)
        if self._clip is not None:
            np.maximum(values, self._low, out=values)
            np.minimum(values, self._high, out=values)
        return values


class ObservationManager:
    """Builds the observation from its terms."""

    def __init__(
        self,
        configs: Mapping[str, ObservationTermConfig],
        setup: TermSetup,
        clip: float | None = None,
    ) -> None:
        """Bind the terms; call :meth:`measure` before use."""
        self.terms = [
            bind(OBSERVATIONS, "observations", name, config, setup)
            for name, config in configs.items()
        ]
        grouped: dict[str, list[tuple[BoundTerm, float]]] = {}
        for term, config in zip(self.terms, configs.values(), strict=True):
            grouped.setdefault(config.group, []).append((term, config.scale))
        self._groups = {name: _Group(terms, clip) for name, terms in grouped.items()}

    def measure(self, state: RobotState) -> None:
        """Find out the sizes, from a first state."""
        for group in self._groups.values():
            group.measure(state)
        self._single = next(iter(self._groups.values())) if len(self._groups) == 1 else None

    def space(self) -> Box | Dict:
        """Return the observation space: an array, or a dictionary if there are several groups."""
        if self._single is not None:
            return self._single.space()
        return Dict({name: group.space() for name, group in self._groups.items()})

    def entries(self) -> dict[str, list[Entry]]:
        """Return a name and a unit for every entry, by group."""
        return {name: group.entries for name, group in self._groups.items()}

    def observe(self, state: RobotState) -> Observation:
        """Return the observation, in new arrays."""
        if self._single is not None:
            return self._single.observe(state)
        return {name: group.observe(state) for name, group in self._groups.items()}


def _scaled(call: Callable[[RobotState], Any], scale: float) -> Callable[[RobotState], Any]:
    if scale == 1.0:
        return call
    return lambda state: scale * np.asarray(call(state))


def _entries(term: BoundTerm, value: NDArray[np.float64]) -> list[Entry]:
    if value.ndim == 0:
        return [Entry(term.name, term.info.unit)]
    labels = term.info.labels if len(term.info.labels) == value.size else range(value.size)
    return [Entry(f"{term.name}.{label}", term.info.unit) for label in labels]


def cleaned(observation: Observation) -> tuple[Observation, bool]:
    """Return the observation, zeros in place of what is not finite, and whether there was any."""
    if isinstance(observation, dict):
        parts = {name: cleaned(part) for name, part in observation.items()}
        values = {name: part for name, (part, _) in parts.items()}
        return values, any(unstable for _, unstable in parts.values())  # type: ignore[return-value]
    if math.isfinite(observation.dot(observation)) or np.isfinite(observation).all():
        return observation, False
    return np.nan_to_num(observation, nan=0.0, posinf=0.0, neginf=0.0), True
