"""Names by pattern: which joints or links of a robot a spec or a term means."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from roboyard.config.robots import PerJoint
from roboyard.errors import RobotDescriptionError
from roboyard.registry import suggest

_MAX_SHOWN = 40


def match_names(patterns: Sequence[str], names: Sequence[str], kind: str, where: str) -> list[int]:
    """Return the positions in ``names`` that ``patterns`` mean.

    Args:
        patterns: Exact names or shell patterns, each of which must match something.
        names: What there is, in file order.
        kind: Singular noun for messages, such as ``"joint"``.
        where: Place for messages, such as ``"robot 'ant': feet"``.

    Returns:
        Positions in the order of the patterns, and of ``names`` within one; each only once.

    Raises:
        RobotDescriptionError: A pattern matches nothing.
    """
    found: dict[int, None] = {}
    for pattern in patterns:
        matches = _matches(pattern, names)
        if not matches:
            raise RobotDescriptionError(
                f"{where}: no {kind} matches '{pattern}'.{suggest(pattern, names)} "
                f"There are: {shown(names)}."
            )
        found.update(dict.fromkeys(matches))
    return list(found)


def per_joint(
    value: PerJoint, names: Sequence[str], where: str, default: float = 0.0, kind: str = "joint"
) -> NDArray[np.float64]:
    """Return one number for each of ``names``, shape (names,).

    Raises:
        RobotDescriptionError: A pattern of the mapping matches none of them.
    """
    if not isinstance(value, dict):
        return np.full(len(names), float(value))
    values = np.full(len(names), default)
    for pattern, number in reversed(value.items()):  # the first pattern that matches wins
        values[match_names([pattern], names, kind, where)] = number
    return values


def shown(names: Sequence[str]) -> str:
    """Return ``names`` as a list for messages, cut where it is long."""
    more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return ", ".join(names[:_MAX_SHOWN]) + more if names else "none"


def _matches(pattern: str, names: Sequence[str]) -> list[int]:
    exact = [index for index, name in enumerate(names) if name == pattern]
    return exact or [i for i, name in enumerate(names) if fnmatchcase(name, pattern)]
