"""Requests to the worker processes and their answers, with every way in which they can end."""

from __future__ import annotations

import contextlib
import os
import pickle
import time
import weakref
from collections.abc import Sequence
from typing import Any, Final

from roboyard.envs.vector.shared_memory.channel import (
    FAILED,
    FATAL,
    MESSAGE,
    STEP,
    DisconnectedError,
    dump,
)
from roboyard.envs.vector.shared_memory.failure import Failure, death, to_exception
from roboyard.envs.vector.shared_memory.layout import SharedArrays, map_progress
from roboyard.envs.vector.shared_memory.process import WorkerProcess
from roboyard.errors import TrainingError

_CLOSE_S: Final = 5.0
"""How long environments may take to close before their process is killed."""
_FAILED_CLOSE_S: Final = 1.0
_CHECK_MS: Final = 500
"""How often to look for other dead workers while one takes its time."""


class Exchange:
    """Starts workers and talks to them; the first that fails ends all.

    Every request is answered before the next one, so an interrupted call (Ctrl-C) leaves answers
    behind that :meth:`begin` takes out of the way.
    """

    def __init__(self, memory: int, parts: Sequence[range]) -> None:
        """Start one worker for each block of environments.

        Args:
            memory: Descriptor of the shared memory; stays the caller's.
            parts: Indices of the environments of each worker.
        """
        self.workers: list[WorkerProcess] = []
        self._pending: list[WorkerProcess] = []
        self._torn = False  # an exception from a signal handler cut a message in two
        self._doing = "the constructor"
        self._progress = map_progress(memory)
        self.arrays: SharedArrays | None = None
        """What the pool maps; given up at the end of the workers."""
        self._end = weakref.finalize(self, _shut_down, self.workers, os.getpid())
        try:
            for number, part in enumerate(parts):
                self.workers.append(WorkerProcess(number, part, memory))
        except BaseException:
            self.close(_FAILED_CLOSE_S)
            raise

    @property
    def closed(self) -> bool:
        """Whether the workers are gone."""
        return not self._end.alive

    def begin(self, doing: str) -> None:
        """Prepare for new requests.

        Args:
            doing: What they are about, for error messages.

        Raises:
            TrainingError: The workers are gone, or an interrupt came at a very bad moment.
        """
        if self.closed:
            raise TrainingError("the environments are closed; make them anew.")
        if self._torn:
            self.close(_FAILED_CLOSE_S)
            raise TrainingError(
                "an interrupt tore a message between this process and its workers in two; "
                "make the environments anew."
            )
        if self._pending:
            self.answers()
        self._doing = doing

    def request(self, worker: WorkerProcess, payload: bytes | None) -> None:
        """Send something that will be answered; no payload means a step.

        Raises:
            TrainingError: A worker is dead.
        """
        self._pending.append(worker)
        self.tell(worker, payload)

    def tell(self, worker: WorkerProcess, payload: bytes | None) -> None:
        """Send something without an answer.

        Raises:
            TrainingError: A worker is dead.
        """
        self._torn = True
        try:
            if payload is None:
                worker.channel.signal(STEP)
            else:
                worker.channel.send(MESSAGE, payload)
        except DisconnectedError:
            raise self._obituary(worker) from None
        self._torn = False

    def answers(self) -> list[Any]:
        """Wait for every pending answer, in order of the workers; None for a step without notes.

        Raises:
            Exception: A call of a method or attribute failed; its type is kept.
            TrainingError: A worker failed or died, and everything is closed; errors from
                Roboyard's own tree keep their type.
        """
        values, failures = [], []
        while self._pending:
            kind, value = self._answer(self._pending[0])
            values.append(value)
            if kind == FATAL:
                self.close(_FAILED_CLOSE_S)
                raise to_exception(value, keep_type=False)
            if kind == FAILED:
                failures.append(value)
        if failures:
            raise to_exception(failures[0], keep_type=True)
        return values

    def _answer(self, worker: WorkerProcess) -> tuple[bytes, Any]:
        while (reply := worker.has_reply(_CHECK_MS)) is None:
            for other in self.workers:
                if other is not worker and other.exit_code(0) is not None:
                    raise self._obituary(other)
        if not reply:
            raise self._obituary(worker)
        self._torn = True
        try:
            kind = worker.channel.receive_kind()
            payload = None if kind == STEP else worker.channel.receive_payload()
        except DisconnectedError:
            raise self._obituary(worker) from None
        del self._pending[0]
        self._torn = False
        return kind, None if payload is None else pickle.loads(payload)

    def _obituary(self, worker: WorkerProcess) -> BaseException:
        """Close everything; return the error for a worker that has ended."""
        failure = _last_words(worker)
        code = worker.exit_code(_FAILED_CLOSE_S)
        index = int(self._progress[worker.number])
        stack = worker.crash_stack()
        self.close(_FAILED_CLOSE_S)
        if failure is not None:
            return to_exception(failure, keep_type=False)
        return death(worker=worker.number, index=index, doing=self._doing, code=code, stack=stack)

    def close(self, seconds: float = _CLOSE_S) -> None:
        """End the workers; more than once does no harm.

        Args:
            seconds: How long environments may take to close before their process is killed.
        """
        self._pending.clear()
        if self._end.detach():
            _shut_down(self.workers, os.getpid(), seconds)
        # At once, not with this object, which the traceback of an error may hold for long.
        self.arrays = None
        self.__dict__.pop("_progress", None)


def _last_words(worker: WorkerProcess) -> Failure | None:
    with contextlib.suppress(DisconnectedError):
        while worker.has_reply(0):
            kind = worker.channel.receive_kind()
            payload = None if kind == STEP else worker.channel.receive_payload()
            if kind == FATAL and payload is not None:
                failure: Failure = pickle.loads(payload)
                return failure
    return None


def _shut_down(workers: list[WorkerProcess], owner: int, seconds: float = _CLOSE_S) -> None:
    if os.getpid() != owner:
        return  # a forked child must not end its parent's workers
    for worker in workers:
        os.set_blocking(worker.channel.write, False)  # it may be stuck with a full pipe
        with contextlib.suppress(DisconnectedError, BlockingIOError):
            worker.channel.send(MESSAGE, dump(("close",)))
    deadline = time.monotonic() + seconds
    try:
        for worker in workers:
            worker.end(deadline)
    except BaseException:  # Ctrl-C while waiting: no more patience
        for worker in workers:
            worker.end(0.0)
        raise
    finally:
        workers.clear()
