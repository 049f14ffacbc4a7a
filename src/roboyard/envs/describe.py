"""A task in words: what every entry of its spaces means, its terms, its rates."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import BaseModel, JsonValue

from roboyard.config.base import Record
from roboyard.envs.managers.binding import BoundTerm
from roboyard.envs.managers.observation import ObservationEntry
from roboyard.envs.naming import named_entries
from roboyard.envs.task_env import TaskEnv
from roboyard.robots import Robot

_OF_SLIDES = {"N m": "N", "rad": "m", "rad/s": "m/s"}


class TermRow(NamedTuple):
    """One term of a task."""

    name: str
    """Its name in the task."""
    term: str
    """What it is: a registered term, or ``module:function``."""
    unit: str
    """Unit of its values."""
    settings: dict[str, JsonValue]
    """What its list says about it, such as ``weight``."""
    params: dict[str, Any]
    """Its parameters, defaults included."""


class ActionRow(NamedTuple):
    """One entry of the action, which is limited to [-1, 1]."""

    name: str
    """The joint, or what else it moves."""
    control: str
    """Control mode."""
    unit: str
    """Unit of what the entry becomes."""
    scale: float
    """What an entry of 1 adds to ``offset``."""
    offset: float
    """What an entry of 0 means."""


class TaskDescription(NamedTuple):
    """A task in words."""

    description: str
    """What is to be learnt."""
    robot: str
    """Name of the robot."""
    rates: dict[str, str]
    """Periods and lengths."""
    observations: dict[str, list[ObservationEntry]]
    """Name and unit of every entry of the observation, by group."""
    shapes: dict[str, tuple[int, ...]]
    """Shapes of the groups."""
    actions: list[ActionRow]
    """Entries of the action."""
    terms: dict[str, list[TermRow]]
    """Terms, by list."""


def describe_task(env: TaskEnv) -> TaskDescription:
    """Return ``env``'s task in words."""
    terms = env.terms()
    spaces = getattr(env.observation_space, "spaces", None)
    entries = named_entries(env)
    keys = list(entries)
    shapes = spaces or {keys[0]: env.observation_space}
    return TaskDescription(
        env.task.description,
        env.robot.name,
        _rates(env),
        entries,
        {name: tuple(space.shape or ()) for name, space in shapes.items()},
        _actions(env.robot),
        {
            place: [_row(term, getattr(env.task, place)[term.name]) for term in group]
            for place, group in terms.items()
        },
    )


def _rates(env: TaskEnv) -> dict[str, str]:
    world, steps = env.task.world, env.max_episode_steps
    period = env.control_period
    physics = world.steps_per_call * env.task.substeps
    goal = env.task.goal
    kinds = {"sparse": "-1 until then, 0 there", "dense": "minus the distance"}
    aim = {"goal": f"within {goal.tolerance:g}; rewards: {kinds[goal.reward]}"} if goal else {}
    length = f"{steps} control steps ({steps * period:g} s)" if steps else "no limit"
    return {
        "physics step": f"{world.time_step * 1000:g} ms ({1 / world.time_step:.0f} Hz)",
        "control step": f"{period * 1000:g} ms ({1 / period:.4g} Hz), {physics} physics steps",
        "episode": length,
        **aim,
    }


def _row(term: BoundTerm, config: Record) -> TermRow:
    fields = config.model_dump(mode="json", exclude={"term", "params"})
    label = getattr(config, "term", None) or term.name
    params = {name: _plain(value) for name, value in term.params.items()}
    return TermRow(term.name, label, term.info.unit, fields, params)


def _plain(value: object) -> object:
    """Return records as tables."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _actions(robot: Robot) -> list[ActionRow]:
    slides = {joint.name for joint in robot.joints if joint.kind == "prismatic"}
    return [
        ActionRow(
            name,
            group.config.control,
            _OF_SLIDES.get(group.unit, group.unit) if joint in slides else group.unit,
            float(scale),
            float(offset),
        )
        for group in robot.actuators
        # A group that moves together has one entry, and its first joint's numbers stand for all.
        for name, joint, scale, offset in zip(
            group.entries, group.names, group.scale, group.offset, strict=False
        )
    ]
