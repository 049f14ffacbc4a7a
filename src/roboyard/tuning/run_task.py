"""One process of a run, on the node that Ray chose.

This module runs in Ray's workers, so it imports neither torch nor an engine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from roboyard.errors import RoboyardError
from roboyard.runs.index import RunSummary, find_run
from roboyard.runs.ownership import CONFIG_FILE, local_folder, work_folder
from roboyard.runs.signals import EXIT_CONTINUE
from roboyard.storage import open_store
from roboyard.tuning import child_process
from roboyard.tuning.cores import taken

PROGRAM = (sys.executable, "-c", "from roboyard.cli import main; main()")
GRACE_S = 60.0
"""Time that a run has to write a checkpoint when it is to stop [s]."""
_POLL_S = 0.2
_TELL_S = 1.0
_TAKEOVER_S = 120.0
"""How long to wait for another driver of the run to let go [s]: more than its lease lasts."""
PREEMPTIONS = {EXIT_CONTINUE, *(sign for n in (9, 15) for sign in (-n, 128 + n))}
"""Exit codes of processes that were stopped from outside."""
_LONGEST_REASON = 400


@dataclasses.dataclass(frozen=True)
class RunOrder:
    """What a node is asked to do."""

    run_id: str
    uri: str
    """The run's folder, or its place in a store."""
    config: str
    """The resolved config as YAML, used where the run does not exist yet."""
    cpus: float
    """Cores that it may use."""
    folder: str = ""
    """Where to start it, if the node has that folder: files of the config are relative to it."""


@dataclasses.dataclass(frozen=True)
class RunProgress:
    """How far a process of a run is."""

    run_id: str
    node: str
    step: int = 0
    best: float | None = None
    """Mean return of the newest evaluation."""
    seconds: float = 0.0
    """Since this process began [s]."""
    steps_done: int = 0
    """Steps that this process has done."""


@dataclasses.dataclass(frozen=True)
class RunEnd:
    """How a process of a run ended."""

    run_id: str
    node: str
    code: int
    """Its exit code."""
    step: int
    """Step of the run's status afterwards."""
    state: str
    """The run's state afterwards."""
    reason: str
    """Why, in one line."""
    seconds: float
    """How long it took [s]."""
    cpu_s: float = 0.0
    """Processor time of the process and all that it started [s]."""

    @property
    def is_finished(self) -> bool:
        """Whether the run has come to its end."""
        return self.code == 0 and self.state == "finished"

    @property
    def is_preemption(self) -> bool:
        """Whether it was stopped from outside, which is no failure."""
        return not self.is_finished and self.code in PREEMPTIONS


def attempt(order: RunOrder) -> Iterator[RunProgress | RunEnd]:
    """Start or continue a run, and tell how far it is until its process ends.

    A run that has ended already is left alone. Interrupted by KeyboardInterrupt (which is how Ray
    cancels a task), the process is asked to stop and given time for a checkpoint.
    """
    node, start = socket.gethostname(), time.monotonic()
    status = _await_free(order.uri)
    if status is not None and status.state == "finished":
        yield RunEnd(order.run_id, node, 0, status.step, "finished", status.reason, 0.0)
        return
    with contextlib.ExitStack() as stack:
        cores = stack.enter_context(taken(order.cpus))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roboyard-run-")))
        errors = stack.enter_context((folder / "stderr").open("w+b"))
        before = _processor_time()
        process = _start(order, status is not None, folder, cores, errors)
        stack.callback(_end, process)
        yield from _watch(order, process, node)
        state, step, reason = _outcome(order, process.returncode, errors)
        seconds, cpu_s = time.monotonic() - start, _processor_time() - before
        yield RunEnd(order.run_id, node, process.returncode, step, state, reason, seconds, cpu_s)


def _await_free(uri: str) -> RunSummary | None:
    """Return how a run is, once no process drives it any more; None if it has no config yet."""
    deadline = time.monotonic() + _TAKEOVER_S
    while True:
        with contextlib.suppress(RoboyardError):
            store = open_store(uri)
            if store.stat(CONFIG_FILE) is None:
                return None
            found = find_run(store)
            if not found.is_alive or time.monotonic() > deadline:
                return found
        if time.monotonic() > deadline:
            return None
        time.sleep(_POLL_S)


def _start(
    order: RunOrder, exists: bool, folder: Path, cores: Sequence[int], errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    if exists:
        command = [*PROGRAM, "train", order.uri, "--resume", "--quiet"]
    else:
        config = folder / CONFIG_FILE
        config.write_text(order.config)
        command = [*PROGRAM, "train", str(config), "--run-id", order.run_id, "--quiet"]
    where = ",".join(map(str, cores)) or "-"
    threads = str(max(1, int(order.cpus)))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return subprocess.Popen(
        [sys.executable, "-IS", child_process.__file__, str(GRACE_S), where, *command],
        stdin=subprocess.PIPE,  # closes when this worker dies, however it dies
        stdout=subprocess.DEVNULL,
        stderr=errors,
        process_group=0,
        cwd=order.folder if Path(order.folder).is_dir() else None,
        env={**os.environ, **dict.fromkeys(names, threads)},
    )


def _watch(order: RunOrder, process: subprocess.Popen[bytes], node: str) -> Iterator[RunProgress]:
    start, told, first = time.monotonic(), 0.0, None
    folder = local_folder(order.uri) or work_folder(order.uri)
    while process.poll() is None:
        time.sleep(_POLL_S)
        now = time.monotonic()
        if now - told >= _TELL_S:
            told = now
            step, value = _newest(folder)
            first = step if first is None else first
            yield RunProgress(order.run_id, node, step, value, now - start, step - first)


def _newest(folder: Path) -> tuple[int, float | None]:
    """Return the step of a run's status, and the return of its last evaluation."""
    step, value = 0, None
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        step = int(json.loads((folder / "status.json").read_text()).get("step") or 0)
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, IndexError):
        last = json.loads((folder / "evaluations.jsonl").read_text().splitlines()[-1])
        step, value = max(step, int(last["step"])), float(last["mean"])
    return step, value


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask what still runs to stop, and wait for it."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    process.wait()


def _processor_time() -> float:
    """Return the processor time of all children that have ended, and theirs [s]."""
    times = os.times()
    return times.children_user + times.children_system


def _outcome(order: RunOrder, code: int, errors: IO[bytes]) -> tuple[str, int, str]:
    """Return the state, the step and the reason of a run whose process has ended."""
    step, state, reason = 0, "queued", ""
    with contextlib.suppress(RoboyardError):
        found = find_run(open_store(order.uri))
        step, state, reason = found.step, found.state, found.reason
    if code and code not in PREEMPTIONS:
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
        reason = (lines[-1] if lines else reason)[:_LONGEST_REASON]
    return state, step, reason
