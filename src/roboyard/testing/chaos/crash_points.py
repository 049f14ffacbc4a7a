"""Killing or freezing a process between any two of its writes.

A *crash point* is the moment right after a file was forced to the disk, renamed, linked or
removed. Between two of them nothing changes for whoever comes after a crash, except for the tail
of a file that is appended to.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable

_CALLS = ("fsync", "replace", "rename", "link", "unlink", "rmdir")


class CrashPoints:
    """Counts the crash points of this process, and strikes at one of them."""

    def __init__(self, strike_at: int = 0, number: signal.Signals = signal.SIGKILL) -> None:
        """Watch this process until it ends.

        Args:
            strike_at: At which crash point, counted from 1; 0 strikes never.
            number: The signal that it then sends itself.
        """
        self.count = 0
        """Crash points passed."""
        self._strike_at = strike_at
        self._number = number
        self._lock = threading.Lock()
        for name in _CALLS:
            setattr(os, name, self._watched(getattr(os, name)))

    def _watched(self, call: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(call)
        def watched(*args: object, **kwargs: object) -> object:
            result = call(*args, **kwargs)
            with self._lock:
                self.count += 1
                is_it = self.count == self._strike_at
            if is_it:
                os.kill(os.getpid(), self._number)
            return result

        return watched
