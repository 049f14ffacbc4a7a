"""A first call of every term, so that one that does not fit the robot is found at load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roboyard.envs.managers.binding import BoundTerm
from roboyard.errors import RobotDescriptionError, RoboyardError
from roboyard.robots import RobotState

_LISTS = ("observations", "rewards", "terminations", "metrics")


def try_terms(terms: Mapping[str, Sequence[BoundTerm]], state: RobotState) -> None:
    """Call the terms that read the record; their memories are as after a reset.

    Raises:
        RobotDescriptionError: One fails; the message names it and what it says.
    """
    for place in _LISTS:
        for term in terms[place]:
            try:
                term.call(state)
            except RoboyardError:
                raise
            except Exception as error:
                raise RobotDescriptionError(
                    f"{place}.{term.name}: the term does not fit robot '{state.robot.name}' "
                    f"({type(error).__name__}: {error})."
                ) from error
