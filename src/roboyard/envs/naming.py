"""Names of an observation's entries: whose joint, link, axis or command each of them is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from roboyard.envs.managers.binding import BoundTerm
from roboyard.envs.managers.observation import ObservationEntry, scaled_unit
from roboyard.envs.managers.selections import Selection, resolve
from roboyard.robots import Robot

if TYPE_CHECKING:
    from roboyard.envs.task_env import TaskEnv

_PAIRS = ("position", "velocity")
_OF_ACTIONS = ("last_action", "previous_action")
"""Terms with one value for each entry of the action."""


def named_entries(env: TaskEnv) -> dict[str, list[ObservationEntry]]:
    """Return the entries of an observation by group, named after joints, links and axes."""
    named = {}
    for group, entries in env.observations.entries().items():
        names = [entry.name.partition(".")[0] for entry in entries]
        for term in env.observations.terms:
            where = [index for index, name in enumerate(names) if name == term.name]
            labels, units = _labels(env, term, len(where)), _units(env, term, len(where))
            for index, label in zip(where, labels, strict=bool(labels)):
                entries[index] = ObservationEntry(f"{term.name}.{label}", entries[index].unit)
            for index, unit in zip(where, units, strict=bool(units)):
                entries[index] = ObservationEntry(entries[index].name, unit)
        named[group] = entries
    return named


def _units(env: TaskEnv, term: BoundTerm, size: int) -> list[str]:
    """Return the units of a commanded term's values: those of its command."""
    if term.info.unit:
        return []
    command = _command_of(env, term)
    if command is None:
        return []
    scale = env.task.observations[term.name].scale
    units = command.info.unit.split(", ")
    return [scaled_unit(unit, scale) for unit in (units if len(units) > 1 else units * size)]


def _command_of(env: TaskEnv, term: BoundTerm) -> BoundTerm | None:
    """Return the command whose values a term shows, if it shows one."""
    named = (command for command in env.commands.terms if command.name == term.params.get("name"))
    return next(named, None)


def _labels(env: TaskEnv, term: BoundTerm, size: int) -> list[str]:
    """Return names for a term's values, or nothing where they have some or none is known."""
    if size < 1 or len(term.info.labels) == size:
        return []
    fitting = (labels for labels in _candidates(env, term) if len(labels) == size)
    return next(fitting, [])


def _candidates(env: TaskEnv, term: BoundTerm) -> Iterator[list[str]]:
    """Return what a term's values may be named after, the most telling first."""
    axes = term.params.get("axes")
    if isinstance(axes, str):
        yield list(axes)
    command = _command_of(env, term)
    if command is not None:
        yield list(command.info.labels)
    parts = _parts(env.robot, term)
    yield parts
    if "velocity_scale" in term.params:
        yield [f"{name}.{what}" for name in parts for what in _PAIRS]
    yield [f"{name}.{axis}" for name in parts for axis in "xyz"]
    if (env.task.observations[term.name].term or term.name) in _OF_ACTIONS:
        yield list(env.robot.action_names)


def _parts(robot: Robot, term: BoundTerm) -> list[str]:
    """Return the names of the joints or links that a term is told to look at."""
    for kind in ("joints", "links"):
        patterns = term.params.get(kind)
        if patterns:
            selection = Selection("joints" if kind == "joints" else "links")
            found: Any = resolve(selection, patterns, robot, term.name)
            if isinstance(found, slice):
                found = range(found.start, found.stop)
            names = robot.joint_names if kind == "joints" else None
            return [names[i] if names else robot.link_name(i) for i in found]
    return []
