"""One worker process as the parent sees it."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

from roboyard.envs.vector.shared_memory.channel import WorkerChannel

_THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "BLIS_NUM_THREADS",
)
# Not `python -m`: the module may be imported already by the time it would run as __main__.
# Nothing of the parent's main script runs in a worker, so scripts need no __main__ guard.
_BOOTSTRAP: Final = (
    "import sys; sys.path[:] = sys.argv[1].split(chr(0x1f)); "
    "from roboyard.envs.vector.shared_memory.worker import main; main(sys.argv[2:])"
)
_LONGEST_STACK: Final = 20_000


class WorkerProcess:
    """A freshly started interpreter that serves one block of environments."""

    def __init__(self, number: int, block: range, memory: int) -> None:
        """Start the process.

        Args:
            number: Which worker.
            block: Indices of its environments.
            memory: Descriptor of the shared memory; stays the caller's.
        """
        self.number = number
        self.block = block
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            their_read, our_write = _pipe(reader=theirs, writer=ours)
            our_read, their_write = _pipe(reader=ours, writer=theirs)
            their_lifeline, our_lifeline = _pipe(reader=theirs, writer=ours)
            self._crash = ours.enter_context(tempfile.TemporaryFile())
            descriptors = (
                their_read, their_write, their_lifeline, memory, self._crash.fileno(),
            )  # fmt: skip
            self._process = _launch(number, descriptors)
            self._lifeline = our_lifeline
            self.channel = WorkerChannel(our_read, our_write)
            self._open = ours.pop_all()
        self._poll = select.poll()
        self._poll.register(our_read, select.POLLIN)
        self._end = _process_descriptor(self._process.pid)
        if self._end is not None:
            # A child of the worker may hold its pipe open; the end of the process still shows.
            self._open.callback(os.close, self._end)
            self._poll.register(self._end, select.POLLIN)

    def has_reply(self, milliseconds: int) -> bool | None:
        """Wait for a reply: True when there is one, False when there will be none, else None."""
        events = self._poll.poll(milliseconds)
        if not events:
            return None
        return any(fd == self.channel.read and event & select.POLLIN for fd, event in events)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def exit_code(self, seconds: float) -> int | None:
        """Wait for the end; return the exit code, negative for a signal, or None if it runs on."""
        try:
            return self._process.wait(max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            return None

    def crash_stack(self) -> str:
        """Return the Python stack that the process wrote when native code crashed, if any."""
        self._crash.seek(0)
        return self._crash.read(_LONGEST_STACK).decode(errors="replace").strip()

    def end(self, deadline: float) -> None:
        """Wait until ``deadline`` (``time.monotonic``), then kill; free everything."""
        if self.exit_code(deadline - time.monotonic()) is None:
            self._process.kill()
            self._process.wait()
        self._open.close()


def _launch(number: int, descriptors: tuple[int, ...]) -> subprocess.Popen[bytes]:
    in_main_thread = threading.current_thread() is threading.main_thread()
    arguments = [number, os.getpid(), int(in_main_thread), *descriptors]
    source = Path(__file__).parents[3]
    path = [str(source), *sys.path] if str(source) not in sys.path else sys.path
    # The separator is one that no path holds; an empty entry means the current folder.
    search = "\x1f".join(str(entry) for entry in path)
    return subprocess.Popen(
        [sys.executable, "-c", _BOOTSTRAP, search, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        pass_fds=descriptors,
        env={**os.environ, **dict.fromkeys(_THREAD_VARIABLES, "1")},
        process_group=0,  # Ctrl-C goes to the parent alone, which ends its workers in order
    )


def _pipe(*, reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    reader.callback(os.close, read)
    writer.callback(os.close, write)
    return read, write


def _process_descriptor(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or an old kernel
        return None
