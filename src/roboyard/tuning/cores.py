"""Cores of one node, shared out among the runs on it.

Ray counts cores but does not say which. A run takes whole cores by locks on files, which the
system lets go when their holder dies; so no run reckons with cores that another one uses.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def taken(count: float) -> Iterator[list[int]]:
    """Hold that many of this process's cores; empty where there are not so many free ones.

    Args:
        count: How many; parts of a core are not held, because they can be shared.
    """
    with contextlib.ExitStack() as stack:
        yield _lock(int(count), stack) if count >= 1 and count == int(count) else []


def _lock(count: int, stack: contextlib.ExitStack) -> list[int]:
    folder = Path(tempfile.gettempdir(), f"roboyard-cores-{os.getuid()}")
    found: list[int] = []
    with contextlib.suppress(OSError, AttributeError):
        folder.mkdir(mode=0o700, exist_ok=True)
        for core in sorted(os.sched_getaffinity(0)):
            file = stack.enter_context((folder / str(core)).open("a"))
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found.append(core)
            if len(found) == count:
                return found
    stack.close()
    return []
