"""Work on what strangers sent, in a process of its own with limits of time and memory.

Python's JSON parser and onnxruntime's optimiser hold on to the interpreter, or never end, so a
thread would not protect the requests of others. The process is started when it is first needed,
and anew after it had to be ended.
"""

from __future__ import annotations

import os
import resource
import select
import subprocess
import sys
import threading
import time
from typing import IO

from roboyard.errors import RoboyardError

_SPARE_S = 5.0  # Until the kernel ends a process whose server has gone.
_CHUNK = 2**20


class WorkerError(RoboyardError):
    """The process took too long, too much memory, or ended."""


class TaskProcess:
    """One process that does one task at a time; callable from any thread."""

    def __init__(self, memory_bytes: int) -> None:
        """Create it; the process starts with the first task.

        Args:
            memory_bytes: Memory that tasks may take beyond what the process begins with.
        """
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, task: str, content: bytes | bytearray, timeout_s: float, limit: int = 0) -> bytes:
        """Return the outcome of a task.

        Args:
            task: A name of ``roboyard.serving.tasks.TASKS``.
            content: What it works on.
            timeout_s: How long it may take [s].
            limit: A number for the task, such as how many numbers are allowed.

        Raises:
            WorkerError: It took too long or too much memory.
        """
        with self._lock:
            process = self._running()
            try:
                assert process.stdin is not None and process.stdout is not None
                head = f"{task} {len(content)} {timeout_s:g} {limit}\n".encode()
                process.stdin.write(head)
                process.stdin.write(content)
                process.stdin.flush()
                deadline = time.monotonic() + timeout_s
                size = int.from_bytes(_read(process.stdout, 8, deadline), "little")
                return _read(process.stdout, size, deadline)
            except TimeoutError:
                self._end()
                raise WorkerError(f"it took more than {timeout_s:g} s") from None
            except (OSError, EOFError):
                self._end()
                raise WorkerError("it took too much memory or time") from None
            except BaseException:
                self._end()
                raise

    def close(self) -> None:
        """End the process."""
        process = self._process
        if process is not None:
            process.kill()  # Before the lock, so that a task under way ends, too.
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "roboyard.serving.tasks", str(self._memory_bytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is the server's business.
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            try:
                assert pipe is not None
                pipe.close()
            except OSError:  # What it did not read any more.
                pass


def _read(pipe: IO[bytes], size: int, deadline: float) -> bytes:
    """Read exactly so many bytes.

    Raises:
        TimeoutError: They did not come in time.
        EOFError: The process ended.
    """
    number = pipe.fileno()
    waiting = select.poll()  # Unlike select(), it takes any file number.
    waiting.register(number, select.POLLIN)
    content = bytearray()
    while len(content) < size:
        left = deadline - time.monotonic()
        if left <= 0 or not waiting.poll(left * 1e3):
            raise TimeoutError
        data = os.read(number, min(_CHUNK, size - len(content)))
        if not data:
            raise EOFError
        content += data
    return bytes(content)


def limit_memory(extra_bytes: int) -> None:
    """Let this process grow by so much and no more."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + extra_bytes,) * 2)


def limit_time(seconds: float) -> None:
    """Let this process take so much more of a core's time and little more."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(usage.ru_utime + usage.ru_stime + seconds + _SPARE_S) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
