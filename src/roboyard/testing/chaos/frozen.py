"""A process that sleeps while another one takes its run over, and then wakes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

from roboyard.errors import TrainingError
from roboyard.runs.supervisor import Child
from roboyard.storage import open_store
from roboyard.storage.leases.lease import EXIT_LOST
from roboyard.storage.leases.record import LEASE_FILE, observe

_PATIENCE_S = 60.0
_POLL_S = 0.05


class Frozen:
    """A process group that was stopped; it ends with the stack that was given along."""

    def __init__(self, child: Child, stack: contextlib.ExitStack) -> None:
        """Take it over.

        Args:
            child: The process, stopped.
            stack: Ends it when closed.
        """
        self._child = child
        self._stack = stack
        self._is_awake = False

    def await_free(self, uri: str) -> None:
        """Wait until its lease of a run has run out, by the store's own clock.

        Raises:
            TrainingError: It does not.
        """
        store, end = open_store(uri), time.monotonic() + _PATIENCE_S
        while (seen := observe(store, LEASE_FILE)) is not None and not seen.is_free:
            if time.monotonic() > end:
                raise TrainingError(f"the lease of '{uri}' is kept alive by a frozen process.")
            time.sleep(_POLL_S)

    def wake(self) -> None:
        """Let it go on."""
        self._is_awake = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.process.pid, signal.SIGCONT)

    def end(self, *, may_have_finished: bool) -> None:
        """See that it leaves by itself; one that was never woken is killed.

        Args:
            may_have_finished: Whether it may have been done with its run before it froze.

        Raises:
            TrainingError: It does not leave the run to the one that took over.
        """
        with self._stack:
            if not self._is_awake:
                return
            try:
                code = self._child.process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                raise TrainingError(
                    f"a process that was frozen still runs {_PATIENCE_S:g} s after it woke."
                ) from None
        if code != EXIT_LOST and not (may_have_finished and code == 0):
            raise TrainingError(
                f"a process that was frozen ended with exit code {code} instead of {EXIT_LOST}, "
                "although another one had taken its run over."
            )
