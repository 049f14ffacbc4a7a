"""Tables of terms, and the decorators that fill them.

A term is a function ``(state, **params)`` of a few lines over the :class:`RobotState` record; an
event's first argument is an :class:`EventContext` instead. A term with a memory is a class: see
:class:`StatefulTerm`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np

from roboyard.registry import Registry
from roboyard.robots import Robot, RobotState
from roboyard.robots.reading import PARTS, Thing
from roboyard.sim.terrain import Terrain

TermFactory = Callable[..., Any]

OBSERVATIONS: Registry[TermFactory] = Registry("observation term")
"""Parts of the observation: return a float, a tuple or an array."""
REWARDS: Registry[TermFactory] = Registry("reward term")
"""Parts of the reward: return a float."""
TERMINATIONS: Registry[TermFactory] = Registry("termination term")
"""Reasons to end an episode: return a bool."""
COMMANDS: Registry[TermFactory] = Registry("command")
"""What the robot is asked to do; see ``terms.commands``."""
EVENTS: Registry[TermFactory] = Registry("event")
"""Changes of the world: return what was drawn, by name, or None."""

F = TypeVar("F", bound=TermFactory)


class TermInfo(NamedTuple):
    """What a decorator said about a term."""

    reads: frozenset[str] = PARTS
    """Parts of the record that it reads; all, for an undecorated function."""
    unit: str = ""
    """Unit of its values."""
    labels: tuple[str, ...] = ()
    """Names of its values, if it has several."""
    is_picture: bool = False
    """Whether it gives pictures, which stand in a group of their own."""


class TermSetup(NamedTuple):
    """What a stateful term may know when it is created."""

    robot: Robot
    """The robot."""
    control_period: float
    """Simulated time of one control step [s]."""
    objects: tuple[str, ...] = ()
    """Names of the task's objects."""
    commands: tuple[str, ...] = ()
    """Names of the task's commands."""


class EventContext(NamedTuple):
    """What an event may act on and draw from."""

    robot: Robot
    """The robot, and through it the world."""
    things: Mapping[str, Thing]
    """Objects beside the robot, by name."""
    generator: np.random.Generator
    """The environment's generator: draw from nothing else."""
    state: RobotState | None = None
    """The record; at a reset, still that of the episode before."""
    grounds: tuple[int, ...] = ()
    """Bodies that count as ground."""
    terrain: Terrain | None = None
    """The task's terrain, if it has one."""


@runtime_checkable
class StatefulTerm(Protocol):
    """A term with a memory: a class that is created as ``Class(setup, **params)``.

    ``get_state`` and ``set_state`` make snapshots exact; values are as for
    :func:`roboyard.sim.snapshot.pack`.
    """

    def reset(self, state: RobotState) -> None:
        """Forget the last episode; ``state`` is the first of the new one."""

    def __call__(self, state: RobotState) -> Any:  # noqa: ANN401
        """Return the term's value; called exactly once per control step."""

    def get_state(self) -> object:
        """Return the memory."""

    def set_state(self, state: Any) -> None:  # noqa: ANN401
        """Take over what ``get_state`` returned."""


class Term:
    """A term that is a class but remembers nothing from one step to the next; a base class."""

    def reset(self, state: RobotState) -> None:
        """Forget the last episode; nothing by default."""

    def get_state(self) -> object:
        """Return the memory; none by default."""
        return None

    def set_state(self, state: Any) -> None:  # noqa: ANN401
        """Take over what ``get_state`` returned; nothing by default."""


_INFOS: dict[TermFactory, TermInfo] = {}


def info_of(term: TermFactory) -> TermInfo:
    """Return what a decorator said about ``term``; the most cautious answer if none did."""
    return _INFOS.get(term, TermInfo())


def _decorator(
    registry: Registry[TermFactory], name: str | None, info: TermInfo
) -> Callable[[F], F]:
    def register(term: F) -> F:
        registry.register(name or term.__name__, term)
        _INFOS[term] = info
        return term

    return register


def observation(
    *reads: str,
    unit: str = "",
    labels: tuple[str, ...] = (),
    name: str | None = None,
    is_picture: bool = False,
) -> Callable[[F], F]:
    """Register an observation term that needs these parts of the record."""
    return _decorator(OBSERVATIONS, name, TermInfo(frozenset(reads), unit, labels, is_picture))


def reward(*reads: str, unit: str = "", name: str | None = None) -> Callable[[F], F]:
    """Register a reward term that needs these parts of the record."""
    return _decorator(REWARDS, name, TermInfo(frozenset(reads), unit))


def termination(*reads: str, name: str | None = None) -> Callable[[F], F]:
    """Register a termination term that needs these parts of the record."""
    return _decorator(TERMINATIONS, name, TermInfo(frozenset(reads)))


def event(*, name: str | None = None) -> Callable[[F], F]:
    """Register an event."""
    return _decorator(EVENTS, name, TermInfo(frozenset()))


def commanding(
    *reads: str, unit: str = "", labels: tuple[str, ...] = (), name: str | None = None
) -> Callable[[F], F]:
    """Register a command that needs these parts of the record."""
    return _decorator(COMMANDS, name, TermInfo(frozenset(reads), unit, labels))
