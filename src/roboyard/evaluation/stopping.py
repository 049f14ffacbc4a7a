"""Work that can be asked to stop before it is done."""

from __future__ import annotations

from collections.abc import Callable

from roboyard.errors import RoboyardError

ShouldStop = Callable[[], bool]
"""Asked at every step of long work; true when somebody wants it to stop."""


class StoppedError(RoboyardError):
    """Work stopped because it was asked to; what it would have given does not exist."""


def refuse_to_go_on(should_stop: ShouldStop | None, what: str) -> None:
    """Raise ``StoppedError`` if somebody asked to stop.

    Args:
        should_stop: Whom to ask, if anybody.
        what: What is being done, for the message.
    """
    if should_stop is not None and should_stop():
        raise StoppedError(f"{what} was not finished, because the process was asked to stop.")
