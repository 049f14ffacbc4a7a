"""Parameters that name joints, links, objects or commands; checked and resolved at load.

Annotate a term's parameter with one of the types here. Besides patterns, ``@actuated``, ``@feet``
and ``@base`` stand for what the robot's spec says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from roboyard.errors import ConfigError, RobotDescriptionError
from roboyard.registry import suggest
from roboyard.robots import Robot

ALL: Any = ("*",)
"""Default of a selection: everything."""
ACTUATED: Any = ("@actuated",)
"""Default of a selection: the joints that the action drives, in its order."""
FEET: Any = ("@feet",)
"""Default of a selection: the links that are meant to touch the ground."""
EVERY_LINK: Any = ("base", "*")
"""Default of a selection: all links, the base among them."""
BASE_LINK: Any = "@base"
"""Default of a selection: the robot's base link."""
NONE: Any = ()
"""Default of a selection: nothing."""


@dataclass(frozen=True)
class Selection:
    """Marks a parameter that names joints or links."""

    kind: Literal["joints", "links", "object", "command"]
    """What it names."""
    is_single: bool = False
    """Whether it names exactly one."""


Joints: TypeAlias = Annotated[slice | NDArray[np.intp], Selection("joints")]
"""Index into arrays of joints: a slice where the joints are neighbours."""
Joint: TypeAlias = Annotated[int, Selection("joints", is_single=True)]
"""Position of one joint in arrays of joints."""
Links: TypeAlias = Annotated[tuple[int, ...], Selection("links")]
"""Indices of links; -1 is the base."""
Link: TypeAlias = Annotated[int, Selection("links", is_single=True)]
"""Index of one link; -1 is the base."""

Object: TypeAlias = Annotated[str, Selection("object", is_single=True)]
"""Name of one of the task's objects."""
Command: TypeAlias = Annotated[str, Selection("command", is_single=True)]
"""Name of one of the task's commands."""

Resolved: TypeAlias = slice | NDArray[np.intp] | tuple[int, ...] | int | str


def resolve(
    selection: Selection, patterns: str | Sequence[str], robot: Robot, where: str
) -> Resolved:
    """Return the indices that patterns mean for a robot.

    Raises:
        RobotDescriptionError: A pattern matches nothing, or not exactly one where one is wanted.
    """
    names = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    found = [index for name in names for index in _find(selection, name, robot, where)]
    found = list(dict.fromkeys(found))
    if selection.is_single:
        if len(found) != 1:
            raise RobotDescriptionError(
                f"{where}: {' '.join(names)} means {len(found)} {selection.kind} of robot "
                f"'{robot.name}'; name exactly one."
            )
        return found[0]
    return tuple(found) if selection.kind == "links" else as_index(found)


def check_name(selection: Selection, name: str, known: Sequence[str], where: str) -> str:
    """Return the name of an object or command, if the task has one of that name.

    Raises:
        ConfigError: It has none.
    """
    if name not in known:
        raise ConfigError(
            f"{where}: the task has no {selection.kind} '{name}'.{suggest(name, known)} "
            f"It has: {', '.join(known) or 'none'}; see '{selection.kind}s' of the task."
        )
    return name


def _find(selection: Selection, name: str, robot: Robot, where: str) -> list[int]:
    if selection.kind == "joints":
        if name == "@actuated":
            return [int(index) for index in robot.actuated]
        return robot.joint_positions_of((name,), where)
    if name == "@base":
        return [robot.base_link]
    if name == "@feet":
        if not robot.feet:
            raise RobotDescriptionError(
                f"{where}: robot '{robot.name}' has no feet; name them in the robot's 'feet'."
            )
        return list(robot.feet)
    return robot.links((name,), where)


def as_index(positions: Sequence[int]) -> slice | NDArray[np.intp]:
    """Return an index that numpy applies fastest: a slice for neighbours in order."""
    first, size = (positions[0] if positions else 0), len(positions)
    if list(positions) == list(range(first, first + size)):
        return slice(first, first + size)
    return np.array(positions, dtype=np.intp)
