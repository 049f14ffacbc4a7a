"""Errors on their way from a worker to the parent."""

from __future__ import annotations

import pickle
import signal
import traceback
from typing import NamedTuple

from roboyard.envs.vector.shared_memory.channel import dump
from roboyard.errors import RoboyardError, TrainingError

_ADVICE = "Set env.workers to 0 to see it in the training process with a debugger."
_HINTS = {
    signal.SIGKILL: " The system kills a process so when memory runs out (see `dmesg`): "
    "use fewer env.num_envs or env.workers.",
    signal.SIGSEGV: " This is a crash in native code, such as the physics engine.",
    signal.SIGBUS: " This is a crash in native code, or /dev/shm is full.",
    signal.SIGABRT: " This is a crash in native code, such as the physics engine.",
}


class WorkerTracebackError(Exception):
    """The traceback of an error in a worker, as the cause of the error in the parent."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0])


class Failure(NamedTuple):
    """What a worker says about an exception."""

    env_index: int
    """The environment's index among all."""
    doing: str
    """What was being done with it, such as ``"step()"``."""
    summary: str
    """Type and text of the exception."""
    traceback: str
    error: bytes | None
    """The exception itself, pickled, where it survives that."""


def describe(error: BaseException, index: int, doing: str) -> Failure:
    """Make the record that travels; never raises."""
    try:
        summary = traceback.format_exception_only(error)[-1].strip()
        trace = "".join(traceback.format_exception(error)).rstrip()
    except Exception:  # out of memory, or an exception that cannot be printed
        summary, trace = type(error).__name__, ""
    return Failure(index, doing, summary, trace, _pickled(error))


def _pickled(error: BaseException) -> bytes | None:
    try:
        data = dump(error)
        survives = isinstance(pickle.loads(data), type(error))
    except Exception:
        return None
    return data if survives else None


def to_exception(failure: Failure, *, keep_type: bool) -> BaseException:
    """Return what the parent raises.

    Roboyard's own errors keep type and text, as they would in one process. Others become
    ``TrainingError``, or keep their type too when ``keep_type`` is set (calls of methods and
    attributes, after which the environments are still usable).
    """
    if failure.error is not None:
        original = pickle.loads(failure.error)
        if isinstance(original, RoboyardError) or (keep_type and isinstance(original, Exception)):
            original.__cause__ = WorkerTracebackError(failure.traceback)
            return original
    return TrainingError(
        f"environment {failure.env_index} failed in {failure.doing}: {failure.summary}. "
        f"{_ADVICE}\n\n{failure.traceback}"
    )


def death(*, worker: int, index: int, doing: str, code: int | None, stack: str) -> TrainingError:
    """Return the error for a worker process that ended without saying why.

    Args:
        worker: Which worker.
        index: The environment it was busy with.
        doing: What it was doing.
        code: Exit code, negative for a signal; None where unknown.
        stack: Python's stack at a crash, if one was written.
    """
    how = "ended unexpectedly"
    hint = ""
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        how = f"was killed by {name}"
        hint = _HINTS.get(signal.Signals(-code), "") if name.startswith("SIG") else ""
    elif code is not None:
        how = f"ended with exit code {code}"
    return TrainingError(
        f"worker process {worker} {how} in {doing} of environment {index}.{hint}"
        + (f"\n\n{stack}" if stack else "")
    )
