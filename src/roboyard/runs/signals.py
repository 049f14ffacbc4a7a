"""Ctrl-C, SIGTERM and SIGUSR1: a request to stop at the next boundary, with a checkpoint."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

EXIT_CONTINUE = 75
"""Exit code of an interrupted run: start the same command with ``--resume`` to go on.

It is EX_TEMPFAIL of sysexits.h; schedulers and supervisors may restart on it.
"""

_LOG = logging.getLogger(__name__)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class InterruptGuard:
    """While active, turns the first signal into a request and lets the second one through."""

    def __init__(self, notify: Callable[[str], None] | None = None) -> None:
        """Prepare; nothing is installed before ``with``.

        Args:
            notify: Called from the handler with the name of the first signal.
        """
        self._notify = notify
        self.received: str | None = None
        """Name of the signal that asked to stop, if one did."""
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Install the handlers; only the main thread of a process can."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put the old handlers back."""
        del kind, error, trace  # Unused.
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame  # Unused.
        name = signal.Signals(number).name
        if self.received is not None:
            _LOG.warning("%s again: stopping at once, without a checkpoint.", name)
            raise KeyboardInterrupt
        self.received = name
        if self._notify is not None:
            self._notify(name)
        _LOG.warning(
            "%s: stopping as soon as nothing is lost by it; once more stops at once.", name
        )
