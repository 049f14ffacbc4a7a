"""Locks between processes on one file system, given back by the kernel when a process dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from io import BufferedWriter
from pathlib import Path

from roboyard.errors import StorageError

_LOG = logging.getLogger(__name__)

WAIT_S = 30.0
"""How long to wait for a lock; whoever holds it needs milliseconds [s]."""
_NOTICE_S = 2.0
_POLL_S = 0.002
_LONGEST_POLL_S = 0.1
_UNSUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOLCK}
_told: set[int] = set()


@contextlib.contextmanager
def locked(path: Path, wait_s: float | None = None) -> Iterator[None]:
    """Hold the lock that belongs to ``path``, across processes and threads.

    On a file system without locks the body runs all the same, after a warning.

    Args:
        path: The file; ``.<name>.lock`` beside it is what is locked.
        wait_s: How long to wait for another holder [s]; by default ``WAIT_S``.

    Raises:
        StorageError: Somebody else holds it for too long; the message says who.
        OSError: The lock file cannot be opened.
    """
    lock = path.with_name(f".{path.name}.lock")
    wait_s = WAIT_S if wait_s is None else wait_s
    started, told = time.monotonic(), False
    poll_s = _POLL_S
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("ab") as file:
            if not _try(file, lock):
                waited = time.monotonic() - started
                if waited > wait_s:
                    raise _busy(path, lock, wait_s)
                if waited > _NOTICE_S and not told:
                    told = True
                    _LOG.warning("waiting for the lock of '%s', held by %s.", path, who(lock))
                time.sleep(poll_s)
                poll_s = min(2 * poll_s, _LONGEST_POLL_S)
            elif _is_current(file, lock):
                yield
                return


def who(lock: Path) -> str:
    """Return which process holds a lock, as far as the kernel tells."""
    with contextlib.suppress(OSError):
        status = lock.stat()
        mine = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if len(fields) > 5 and fields[5] == mine and fields[1] == "FLOCK":
                return f"process {fields[4]}{_frozen(fields[4])}"
    return "another process"


def _try(file: BufferedWriter, lock: Path) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        _tell_unsupported(file, lock)
    return True


def _is_current(file: BufferedWriter, lock: Path) -> bool:
    """Return whether the locked file still has its name: an empty folder takes it along."""
    mine = os.fstat(file.fileno())
    try:
        named = lock.stat()
    except FileNotFoundError:
        return False
    return (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)


def _tell_unsupported(file: BufferedWriter, lock: Path) -> None:
    device = os.fstat(file.fileno()).st_dev
    if device not in _told:
        _told.add(device)
        _LOG.warning(
            "the file system of '%s' has no file locks (flock): two processes that take over the "
            "same run in the same instant may both write to it. Start only one, or use a store "
            "on another file system.",
            lock.parent,
        )


def _busy(path: Path, lock: Path, wait_s: float) -> StorageError:
    return StorageError(
        f"cannot lock '{path}': for {wait_s:g} s the lock has been held by {who(lock)}. "
        "End or wake that process, then try again."
    )


def _frozen(pid: str) -> str:
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return " (it is stopped: kill -CONT wakes it)" if state in "Tt" else ""
    return ""
