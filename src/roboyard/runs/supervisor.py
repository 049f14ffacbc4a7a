"""Restarting a run until it has ended: after kills, crashes and hangs."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple, Self

from roboyard.errors import ConfigError, StorageError, TrainingError
from roboyard.runs.heartbeat import (
    STACKS_SUFFIX,
    SUPERVISOR_VARIABLE,
    VARIABLE,
    make_heartbeat,
    read_heartbeat,
)
from roboyard.runs.index import RunSummary, find_run
from roboyard.runs.preemption import NOTICE
from roboyard.runs.signals import EXIT_CONTINUE
from roboyard.storage import open_store
from roboyard.storage.base import NotFoundError
from roboyard.storage.leases.lease import EXIT_LOST

_LOG = logging.getLogger(__name__)
_POLL_S = 0.1
_STACKS_S = 2.0
_PREEMPTIONS = {EXIT_CONTINUE, -signal.SIGKILL, -signal.SIGTERM, 128 + 9, 128 + 15}
_USERS_MISTAKE = 2


@dataclasses.dataclass(frozen=True)
class Patience:
    """How often and when to start again."""

    preemptions: int = 1000
    """How many kills and stops from outside to survive."""
    errors: int = 5
    """How many crashes, errors and hangs to survive."""
    hang_s: float = 1800.0
    """A process without a step for so long hangs [s]."""
    backoff_s: float = 2.0
    """Pause before the first new start [s]; it doubles as long as there is no progress."""
    longest_backoff_s: float = 120.0
    """Longest pause [s]."""


class Attempt(NamedTuple):
    """How one process of a run ended."""

    code: int
    """Exit code, negative for a signal."""
    step: int
    """The last step that it told; -1 if there was none."""
    hung: bool
    """Whether it was killed because it made no steps."""
    stacks: str = ""
    """Where its threads were when it hung."""


class SupervisionResult(NamedTuple):
    """How a supervised run ended."""

    code: int
    """Exit code of its last process."""
    preemptions: int
    """How often it was stopped from outside."""
    errors: int
    """How often it failed or hung."""


class Child:
    """One training process in a process group of its own; a context manager that ends it."""

    def __init__(self, command: Sequence[str], *, silent: bool = False) -> None:
        """Start ``command``; a silent one shows only its errors."""
        self._folder = tempfile.TemporaryDirectory(prefix="roboyard-")
        self.heartbeat = Path(self._folder.name, "step")
        make_heartbeat(self.heartbeat)
        mine = {VARIABLE: str(self.heartbeat), SUPERVISOR_VARIABLE: str(os.getpid())}
        # Its own group: Ctrl-C comes to the supervisor alone, which passes it on once.
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **mine},
            process_group=0,
            stdout=subprocess.DEVNULL if silent else None,
        )

    @property
    def step(self) -> int:
        """The last step that it told; -1 before the first."""
        return read_heartbeat(self.heartbeat)

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def stacks(self) -> str:
        """Return where its threads are; empty if it does not even answer that."""
        path = self.heartbeat.with_name(self.heartbeat.name + STACKS_SUFFIX)
        if not path.exists():
            return ""
        self.signal(signal.SIGUSR2)
        end = time.monotonic() + _STACKS_S
        while not path.read_text() and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.05)  # it writes one thread after the other
        return path.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self.process.wait()
        self._folder.cleanup()


class Supervisor:
    """Runs one training run to its end, in as many processes as that takes."""

    def __init__(
        self, start: Sequence[str], resume: Sequence[str], run: str, patience: Patience
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            start: Command that starts the run.
            resume: Command that continues it, used as soon as the run exists.
            run: Folder or URI of the run.
            patience: How often to start again.
        """
        self._start = list(start)
        self._resume = list(resume)
        self._run = run
        self._patience = patience
        self._stopped_by: int | None = None
        self._child: Child | None = None
        self._exists = False

    def run(self) -> SupervisionResult:
        """Start, and start again.

        Raises:
            TrainingError: An error repeats at the same step, or a budget is spent.
            ConfigError: The user's mistake, which another start does not mend.
        """
        preemptions = errors = 0
        seen: tuple[object, ...] | None = None
        pause, last_step = self._patience.backoff_s, -1
        with self._forwarded_signals():
            self._status()
            while True:
                if self._stopped_by is not None:
                    return SupervisionResult(EXIT_CONTINUE, preemptions, errors)
                attempt = self._attempt()
                status = self._status()
                if self._is_the_end(attempt, status):
                    # Stopped while it was still starting, it has not said 75 itself.
                    code = EXIT_CONTINUE if attempt.code in _PREEMPTIONS else attempt.code
                    return SupervisionResult(code, preemptions, errors)
                if attempt.code in _PREEMPTIONS and not attempt.hung:
                    preemptions += 1
                else:
                    errors += 1
                    seen = self._refuse_repetition(seen, attempt, status)
                self._check_budgets(preemptions, errors, attempt)
                step = max(attempt.step, status.step if status else -1)
                pause = self._patience.backoff_s if step > last_step else pause * 2
                last_step = max(last_step, step)
                self._wait(min(pause, self._patience.longest_backoff_s), attempt)

    def _attempt(self) -> Attempt:
        with Child(self._resume if self._exists else self._start) as child:
            self._child = child
            if self._stopped_by is not None:
                child.signal(self._stopped_by)
            step, since = -1, time.monotonic()
            while child.process.poll() is None:
                time.sleep(_POLL_S)
                if child.step != step:
                    step, since = child.step, time.monotonic()
                if time.monotonic() - since > self._patience.hang_s:
                    return self._end_hung(child)
            self._child = None
            return Attempt(child.process.returncode, child.step, hung=False)

    def _end_hung(self, child: Child) -> Attempt:
        stacks = child.stacks()
        _LOG.error(
            "no step for %.0f s after step %d; its threads were here:\n%s",
            self._patience.hang_s,
            child.step,
            stacks or "(it does not answer)",
        )
        child.kill()
        return Attempt(child.process.wait(), child.step, hung=True, stacks=stacks)

    def _is_the_end(self, attempt: Attempt, status: RunSummary | None) -> bool:
        if attempt.code in (0, EXIT_LOST) or self._stopped_by is not None:
            return True
        if attempt.code == _USERS_MISTAKE:
            raise ConfigError("the run was not started again: its command is wrong, see above.")
        # The machine goes away; who starts the next one starts the run there.
        gone = attempt.code == EXIT_CONTINUE and status is not None
        return gone and status is not None and status.reason.startswith(NOTICE)

    def _refuse_repetition(
        self, seen: tuple[object, ...] | None, attempt: Attempt, status: RunSummary | None
    ) -> tuple[object, ...]:
        reason = status.reason if status is not None and status.state == "failed" else ""
        this = (attempt.code, attempt.step, reason, attempt.hung)
        if this == seen:
            what = "it hangs" if attempt.hung else reason or f"exit code {attempt.code}"
            raise TrainingError(
                f"the same error came twice at step {attempt.step}, so another start would not "
                f"help: {what}. The log is in '{self._run}'."
            )
        return this

    def _check_budgets(self, preemptions: int, errors: int, attempt: Attempt) -> None:
        for count, allowed, what in (
            (preemptions, self._patience.preemptions, "preemptions"),
            (errors, self._patience.errors, "errors"),
        ):
            if count > allowed:
                raise TrainingError(
                    f"the run ended {count} times by {what}, and {allowed} are allowed; the last "
                    f"exit code was {attempt.code} at step {attempt.step}. "
                    f"Continue with: roboyard train {self._run} --resume"
                )

    def _wait(self, seconds: float, attempt: Attempt) -> None:
        how = "hung" if attempt.hung else _how(attempt.code)
        _LOG.warning("the run %s at step %d; starting again in %.1f s.", how, attempt.step, seconds)
        self._sleep(seconds * random.uniform(0.8, 1.2))

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._stopped_by is None:
            time.sleep(min(_POLL_S, seconds))

    def _status(self) -> RunSummary | None:
        """Return how the run is; None if there is none yet.

        A store that cannot be read says neither: it is asked until it answers, or until somebody
        asks to stop.
        """
        pause = self._patience.backoff_s
        while self._stopped_by is None:
            try:
                return self._look()
            except StorageError as error:
                _LOG.warning(
                    "the store does not say whether there is a run, so nothing is started; "
                    "it is asked again in %.1f s: %s",
                    pause,
                    error,
                )
            self._sleep(pause)
            pause = min(2.0 * pause, self._patience.longest_backoff_s)
        with contextlib.suppress(StorageError):
            return self._look()
        return None

    def _look(self) -> RunSummary | None:
        """Return how the run is; None if it has no config yet.

        Raises:
            StorageError: The store cannot be read.
        """
        store = open_store(self._run)
        try:
            summary = find_run(store)
            is_run = store.stat("config.yaml") is not None
        except NotFoundError:
            return None
        self._exists |= is_run  # a run that was there once is never started anew
        return summary if is_run else None

    @contextlib.contextmanager
    def _forwarded_signals(self) -> Iterator[None]:
        def forward(number: int, frame: FrameType | None) -> None:
            del frame  # Unused.
            self._stopped_by = number
            if self._child is not None:
                self._child.signal(number)

        previous: dict[int, Callable[..., object] | int | None] = {}
        try:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
                previous[number] = signal.signal(number, forward)
            yield
        finally:
            for restored, handler in previous.items():
                signal.signal(restored, handler)


def _how(code: int) -> str:
    if code == EXIT_CONTINUE:
        return "was stopped from outside"
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"failed with exit code {code}"
