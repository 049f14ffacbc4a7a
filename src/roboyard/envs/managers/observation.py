"""The observation: terms in groups, one array a group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray

from roboyard.config.tasks import ObservationTermConfig
from roboyard.envs.managers.binding import BoundTerm, bind
from roboyard.envs.managers.registry import OBSERVATIONS, TermSetup
from roboyard.envs.managers.sensor_model import Channel
from roboyard.errors import ConfigError
from roboyard.robots import RobotState

Floats32 = NDArray[np.float32]
Observation = Floats32 | dict[str, Floats32]

MAX_ENTRIES = 1_000_000
_LARGEST = np.finfo(np.float32).max


class ObservationEntry(NamedTuple):
    """One number of an observation."""

    name: str
    """Term, and which of its values."""
    unit: str
    """Unit."""


class _Group:
    """Terms whose values stand one after the other in one array."""

    def __init__(
        self, terms: list[tuple[BoundTerm, float, Channel | None]], clip: float | None
    ) -> None:
        self.terms = terms
        self.size = 0
        self.sizes: dict[str, int] = {}
        self.entries: list[ObservationEntry] = []
        self._writes: list[tuple[int | slice, Callable[[RobotState], Any]]] = []
        self._is_clipped = clip is not None
        # The largest finite number where there is no limit: checkers take infinity for a slip.
        self._bound = _LARGEST if clip is None else np.float32(clip)
        # Arrays of no dimension, because numpy converts scalars at every call.
        self._low, self._high = np.array(-self._bound), np.array(self._bound)
        self._safe = np.float32(min(float(self._bound) ** 2, float(_LARGEST)))

    def measure(self, state: RobotState) -> None:
        """Find out how many values each term gives, by asking once."""
        for term, scale, channel in self.terms:
            value = np.asarray(term.call(state), dtype=np.float64)
            if value.ndim > 1:
                raise ConfigError(
                    f"observations.{term.name}: the term gives an array of shape {value.shape}; "
                    "allowed are numbers and flat arrays. A picture needs a group of its own."
                )
            where = slice(self.size, self.size + value.size) if value.ndim else self.size
            call = term.call if channel is None else _sensed(term.call, channel)
            self._writes.append((where, _scaled(call, scale)))
            self.entries += _entries(term, value, scaled_unit(term.info.unit, scale))
            self.size += value.size
            self.sizes[term.name] = value.size
        if self.size > MAX_ENTRIES:
            largest = max(self.sizes, key=lambda name: self.sizes[name])
            raise ConfigError(
                f"observations: {self.size} entries in one group, at most {MAX_ENTRIES} are "
                f"allowed; the largest term is observations.{largest} with {self.sizes[largest]}."
            )

    def space(self) -> Box:
        """Return the space of the array."""
        return Box(-self._bound, self._bound, (self.size,), np.float32)

    def observe(self, state: RobotState) -> tuple[Floats32, bool]:
        """Return the array, new at each call, and whether some of it was not finite."""
        values: Floats32 = np.empty(self.size, np.float32)
        for where, call in self._writes:
            values[where] = call(state)
        # Below it, no square in the sum is above the bound's, and none is infinite or no number.
        if values.dot(values) < self._safe:
            return values, False
        return self._repaired(values)

    def _repaired(self, values: Floats32) -> tuple[Floats32, bool]:
        """Return what lies within the limit, zeros in place of what is not finite."""
        if self._is_clipped:
            np.maximum(values, self._low, out=values)
            np.minimum(values, self._high, out=values)
        if np.isfinite(values).all():
            return values, False
        return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0), True


class PictureGroup:
    """One term that gives pictures, shape (height, width, channels), as they are."""

    def __init__(self, term: BoundTerm) -> None:
        """Keep the term."""
        self._call = term.call
        self._name = term.name
        self.sizes: dict[str, int] = {}
        self.entries: list[ObservationEntry] = []

    def measure(self, state: RobotState) -> None:
        """Find out the shape, by asking once."""
        self._first = np.asarray(self._call(state))
        self.sizes[self._name] = self._first.size
        if self._first.size > MAX_ENTRIES:
            raise ConfigError(
                f"observations.{self._name}: {self._first.size} entries, at most {MAX_ENTRIES} are "
                "allowed; make the picture smaller."
            )

    def space(self) -> Box:
        """Return the space of the pictures: bytes, or metres up to the largest float."""
        kind = self._first.dtype
        high = 255 if kind == np.uint8 else _LARGEST
        return Box(0, high, self._first.shape, kind.type)

    def observe(self, state: RobotState) -> tuple[Any, bool]:
        """Return a new picture, and that all of it is finite."""
        return self._call(state), False


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
        self.channels = {
            name: Channel(config.sensor)
            for name, config in configs.items()
            if config.sensor is not None
        }
        """Imperfect sensors, by term."""
        grouped: dict[str, list[tuple[BoundTerm, float, Channel | None]]] = {}
        for term, config in zip(self.terms, configs.values(), strict=True):
            row = (term, config.scale, self.channels.get(term.name))
            grouped.setdefault(config.group, []).append(row)
        self._groups: dict[str, _Group | PictureGroup] = {
            name: _make_group(name, terms, clip) for name, terms in grouped.items()
        }

    def measure(self, state: RobotState) -> None:
        """Find out the sizes, from a first state."""
        for group in self._groups.values():
            group.measure(state)
        self._single = next(iter(self._groups.values())) if len(self._groups) == 1 else None

    def reset(self, generator: np.random.Generator) -> dict[str, Any]:
        """Start an episode: draw what is wrong with the sensors in it, and return that."""
        drawn = {}
        sizes = {name: n for group in self._groups.values() for name, n in group.sizes.items()}
        for name, channel in self.channels.items():
            channel.use(generator)
            drawn[name] = channel.reset(sizes[name])
        return drawn

    def space(self) -> Box | Dict:
        """Return the observation space: an array, or a dictionary if there are several groups."""
        if self._single is not None:
            return self._single.space()
        return Dict({name: group.space() for name, group in self._groups.items()})

    def entries(self) -> dict[str, list[ObservationEntry]]:
        """Return a name and a unit for every entry, by group."""
        return {name: group.entries for name, group in self._groups.items()}

    def observe(self, state: RobotState) -> tuple[Observation, bool]:
        """Return the observation, in new arrays, and whether any number was not finite.

        Zeros stand in place of such numbers.
        """
        if self._single is not None:
            return self._single.observe(state)
        parts = {name: group.observe(state) for name, group in self._groups.items()}
        values = {name: value for name, (value, _) in parts.items()}
        return values, any(is_unstable for _, is_unstable in parts.values())


def _scaled(call: Callable[[RobotState], Any], scale: float) -> Callable[[RobotState], Any]:
    if scale == 1.0:
        return call
    return lambda state: scale * np.asarray(call(state))


def _sensed(call: Callable[[RobotState], Any], channel: Channel) -> Callable[[RobotState], Any]:
    def sense(state: RobotState) -> Any:  # noqa: ANN401
        value = call(state)
        if isinstance(value, float | int):
            return channel(np.array([value]))[0]
        return channel(np.asarray(value, dtype=np.float64))

    return sense


def _make_group(
    name: str, terms: list[tuple[BoundTerm, float, Channel | None]], clip: float | None
) -> _Group | PictureGroup:
    pictures = [term for term, _, _ in terms if term.info.is_picture]
    if not pictures:
        return _Group(terms, clip)
    (term, scale, channel), *others = terms
    if others or scale != 1.0 or channel is not None:
        raise ConfigError(
            f"observations.{pictures[0].name}: a picture needs a group of its own (it is in "
            f"'{name}' with others, or has a scale or sensor). Set 'group: {pictures[0].name}'."
        )
    return PictureGroup(term)


def _entries(term: BoundTerm, value: NDArray[np.float64], unit: str) -> list[ObservationEntry]:
    if value.ndim == 0:
        return [ObservationEntry(term.name, unit)]
    labels = term.info.labels if len(term.info.labels) == value.size else range(value.size)
    return [ObservationEntry(f"{term.name}.{label}", unit) for label in labels]


def scaled_unit(unit: str, scale: float) -> str:
    """Return what one of an entry stands for: scaled by 2, a speed counts in ``0.5 m/s``."""
    return f"{1.0 / scale:.6g} {unit}" if unit and scale not in (0.0, 1.0) else unit
