"""Curricula: numbers of the task that change at resets, as training goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from roboyard.config.base import Record
from roboyard.config.tasks import CurriculumConfig
from roboyard.errors import ConfigError
from roboyard.registry import suggest


class Knob(NamedTuple):
    """A record of the task that is in use, and a way to replace it."""

    record: Record
    """The record as the task has it."""
    turn: Callable[[Record], None]
    """Takes a changed record into use."""


Knobs = Mapping[str, Knob]
"""By the place in the task at which the record stands, such as ``events.push.params``."""


class Episode(NamedTuple):
    """How an episode went, for curricula by success."""

    is_success: bool
    """Whether a term that means success ended it."""
    length: float
    """Its length as a share of its limit; 0 where there is no limit."""
    rewards: Mapping[str, float]
    """Mean of each reward term in a control step, before its weight."""


class CurriculumManager:
    """Keeps the levels, and turns the knobs at resets."""

    def __init__(
        self, configs: Mapping[str, CurriculumConfig], knobs: Knobs, rewards: tuple[str, ...]
    ) -> None:
        """Find the targets and try both ends.

        Raises:
            ConfigError: A target or measure does not exist, or an end is not allowed there.
        """
        self._configs = dict(configs)
        self._knobs = dict(knobs)
        self._records = {place: knob.record for place, knob in knobs.items()}
        self._targets = {name: self._target(name, c.target) for name, c in configs.items()}
        self.levels = dict.fromkeys(configs, 0.0)
        """Present levels, by curriculum."""
        self.steps = 0
        """Control steps of this copy of the environment, in all episodes."""
        self._measured: dict[str, list[float]] = {name: [] for name in configs}
        for name, config in configs.items():
            _check_measure(name, config, rewards)
            for level in (1.0, 0.0):
                self.levels[name] = level
                self._apply(name)

    def note(self, episode: Episode) -> None:
        """Remember how an episode went that came to its end."""
        for name, config in self._configs.items():
            if config.by == "success":
                self._measured[name].append(_measure(config.measure, episode))

    def update(self) -> None:
        """Change levels and numbers before an episode."""
        for name, config in self._configs.items():
            self.levels[name] = self._next_level(name, config)
            self._apply(name)

    def get_state(self) -> dict[str, Any]:
        """Return what snapshots need."""
        return {"steps": self.steps, "levels": self.levels, "measured": self._measured}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`get_state` returned."""
        self.steps = state["steps"]
        self.levels = {name: state["levels"][name] for name in self._configs}
        self._measured = {name: list(state["measured"][name]) for name in self._configs}
        for name in self._configs:
            self._apply(name)

    def _next_level(self, name: str, config: CurriculumConfig) -> float:
        if config.by == "steps":
            first, last = config.steps
            return min(max((self.steps - first) / (last - first), 0.0), 1.0)
        level, measured = self.levels[name], self._measured[name]
        if len(measured) < config.episodes:
            return level
        mean = sum(measured) / len(measured)
        measured.clear()
        rises, falls = mean > config.raise_above, mean < config.lower_below
        return min(max(level + config.step * (rises - falls), 0.0), 1.0)

    def _target(self, name: str, target: str) -> tuple[str, tuple[str, ...]]:
        """Return the place of the knob, and the path of the number in its record."""
        for place in self._knobs:
            if target.startswith(f"{place}."):
                path = tuple(target[len(place) + 1 :].split("."))
                _number_at(self._records[place], path, f"curricula.{name}.target: '{target}'")
                return place, path
        raise ConfigError(
            f"curricula.{name}.target: '{target}' is no number of the task that can change."
            f"{suggest(target, self._knobs)} It is PLACE.NUMBER; places: "
            f"{', '.join(sorted(self._knobs))}."
        )

    def _apply(self, name: str) -> None:
        config, (place, path) = self._configs[name], self._targets[name]
        value = config.start + (config.end - config.start) * self.levels[name]
        record = self._records[place]
        if _number_at(record, path, name) == value:
            return
        data = record.model_dump()
        inner = data
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        try:
            changed = type(record).model_validate(data)
        except ValidationError as error:
            text = error.errors(include_url=False)[0]["msg"]
            raise ConfigError(
                f"curricula.{name}: {config.target} cannot become {value:g}: {text}."
            ) from error
        self._records[place] = changed
        self._knobs[place].turn(changed)


def _number_at(record: Record, path: tuple[str, ...], where: str) -> float:
    value: object = record
    for key in path:
        known = list(type(value).model_fields) if isinstance(value, Record) else []
        if key not in known:
            raise ConfigError(
                f"{where}: there is no '{key}'.{suggest(key, known)} "
                f"There is: {', '.join(known) or 'nothing'}."
            )
        value = getattr(value, key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where}: is {value}, not a number; only numbers can change.")
    return float(value)


def _measure(measure: str, episode: Episode) -> float:
    if measure == "success":
        return float(episode.is_success)
    if measure == "length":
        return episode.length
    return episode.rewards[measure.partition(".")[2]]


def _check_measure(name: str, config: CurriculumConfig, rewards: tuple[str, ...]) -> None:
    known = ("success", "length", *(f"rewards.{reward}" for reward in rewards))
    if config.measure not in known:
        raise ConfigError(
            f"curricula.{name}.measure: unknown '{config.measure}'."
            f"{suggest(config.measure, known)} Allowed: {', '.join(known)}."
        )
