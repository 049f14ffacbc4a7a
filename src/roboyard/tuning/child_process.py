"""One child process, none of whose descendants outlives it, whatever ends what.

Run as a program of its own, with nothing but the standard library: it costs some milliseconds.
Whoever starts it holds the writing end of its standard input; when that end closes, however its
holder died, the child is asked to stop, with time to write a checkpoint. Orphans of the child
come to the keeper (Linux: it is a "subreaper") and are killed, own sessions included.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_POLL_S = 0.1


def main(grace_s: float, cores: str, command: Sequence[str]) -> int:
    """Run ``command`` and return its exit code, as a shell tells it.

    Args:
        grace_s: Time from the first wish to stop to SIGKILL [s].
        cores: The cores to keep to, as ``0,1``; ``-`` for all.
        command: The program and its arguments.
    """
    if cores != "-":
        os.sched_setaffinity(0, map(int, cores.split(",")))
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.dup2(os.open(os.devnull, os.O_RDONLY), 0))
    # Its own group, so that a Ctrl-C in the terminal comes once; and dead if the keeper is killed.
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - this program has one thread
    )
    _wait(child, grace_s)
    _kill_descendants()
    code = child.returncode
    return code if code >= 0 else 128 - code


def _die_with_parent() -> None:
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(child: subprocess.Popen[bytes], grace_s: float) -> None:
    deadline: float | None = None
    while child.poll() is None:
        if deadline is None:
            if _is_closed():
                deadline = time.monotonic() + grace_s
                child.send_signal(signal.SIGTERM)
        else:
            time.sleep(_POLL_S)
            if time.monotonic() > deadline:
                child.kill()


def _is_closed() -> bool:
    """Wait a moment; return whether nobody holds the other end of standard input any more."""
    ready, _, _ = select.select([0], [], [], _POLL_S)
    return bool(ready) and not os.read(0, 1)


def _kill_descendants() -> None:
    """Kill until none is left: killing one may bring its children here."""
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        found = list(_children(os.getpid()))
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _children(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            yield from map(int, (task / "children").read_text().split())


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2], sys.argv[3:]))
