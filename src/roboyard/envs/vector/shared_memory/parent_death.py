"""A worker dies with its parent, however the parent ends, and without a thread of its own.

The parent holds the writing end of a pipe and never writes. When it ends, by whatever signal,
the kernel closes that end and, because the reading end is armed with ``F_SETSIG``, kills the
worker; no Python code has to run for it, so a worker deep in native code dies as well.
``PR_SET_PDEATHSIG`` covers the case in which some other child of the parent still holds a copy
of the writing end. It fires when the *thread* that started the worker ends, so it is armed only
for workers that the main thread started.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def tie_to_parent(lifeline: int, parent: int, *, to_its_main_thread: bool) -> None:
    """Make this process die as soon as its parent has.

    Args:
        lifeline: Reading end of a pipe whose writing end only the parent holds.
        parent: Process id of the parent.
        to_its_main_thread: Whether the parent's main thread started this process.
    """
    if sys.platform == "linux":
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
        if to_its_main_thread:
            die_with_starter()
    else:
        threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()
    if os.getppid() != parent or select.select([lifeline], [], [], 0)[0]:
        os._exit(1)  # the parent ended before the line was armed


def die_with_starter() -> None:
    """Have the kernel kill this process when the thread that started it ends, on Linux."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch(lifeline: int) -> None:
    try:
        os.read(lifeline, 1)
    finally:
        os._exit(1)
