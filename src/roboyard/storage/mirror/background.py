"""Mirroring in a thread of its own, so that training never waits for the network."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from roboyard.errors import StorageError
from roboyard.storage.leases.lease import LeaseLostError
from roboyard.storage.mirror.push import Mirror, PushReport

_log = logging.getLogger(__name__)
_MAX_PAUSE_S = 60.0


class BackgroundMirror:
    """Runs passes of a :class:`~roboyard.storage.mirror.push.Mirror` on request.

    A pass sends everything that changed, so any number of requests that arrive during one
    pass are served by a single further pass: the queue never holds more than one. A pass
    that fails is tried again by itself, with growing pauses, and the owner is told.
    """

    def __init__(
        self,
        mirror: Mirror,
        *,
        on_error: Callable[[StorageError], None] | None = None,
        pause_s: float = 1.0,
    ) -> None:
        """Start the thread.

        Args:
            mirror: What to run.
            on_error: Called from the thread after each failed pass.
            pause_s: First pause after a failure [s]; it doubles up to a minute.
        """
        self._mirror = mirror
        self._on_error = on_error
        self._pause_s = pause_s
        self._changed = threading.Condition()
        self._wanted = 0
        self._served = 0
        self._urgent = False
        self._closing = False
        self._failures = 0
        self._error: StorageError | None = None
        self._last_success = time.monotonic()
        self._pass_s = 0.0
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._thread.start()

    @property
    def age_s(self) -> float:
        """Time since everything was last known to be stored [s]."""
        return time.monotonic() - self._last_success

    @property
    def pass_s(self) -> float:
        """How long the last good pass took [s]; 0 before the first."""
        return self._pass_s

    @property
    def failures(self) -> int:
        """How many passes in a row have failed."""
        return self._failures

    @property
    def error(self) -> StorageError | None:
        """Why the last pass failed; ``None`` after a good one."""
        return self._error

    def request(self) -> None:
        """Ask for a pass and return at once."""
        with self._changed:
            self._wanted += 1
            self._changed.notify_all()

    def flush(self, deadline_s: float) -> None:
        """Wait until everything that is in the folder now is stored.

        Args:
            deadline_s: How long to wait [s]. Until then failures are tried again without
                long pauses.

        Raises:
            StorageError: It is not, in time; the last complete checkpoint is still good.
        """
        end = time.monotonic() + deadline_s
        with self._changed:
            self._wanted += 1
            goal, self._urgent = self._wanted, True
            self._changed.notify_all()
            done = self._changed.wait_for(
                lambda: self._served >= goal, timeout=max(0.0, end - time.monotonic())
            )
            self._urgent = False
        if not done:
            reason = f" ({self._error})" if self._error else ""
            raise StorageError(
                f"'{self._mirror.uri}' could not be brought up to date in {deadline_s:g} s"
                f"{reason}. "
                "Its last complete checkpoint is still good."
            )

    def doubt(self) -> None:
        """Have the next pass look whether the store still holds what was sent."""
        self._mirror.doubt()

    def abandon(self) -> None:
        """End the thread without sending anything more."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        # A request that hangs must not hold the process beyond its deadline.
        self._thread.join(timeout=1.0)

    def close(self, deadline_s: float = 60.0) -> None:
        """Flush and end the thread.

        Raises:
            StorageError: Not everything could be stored in time.
        """
        try:
            if self._thread.is_alive() and not self._closing:
                self.flush(deadline_s)
        finally:
            self.abandon()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._wanted > self._served)
                if self._closing:
                    return
                goal = self._wanted
            if not self._pass(goal):
                self._pause()

    def _pause(self) -> None:
        """Wait after a failure; whoever is waiting in ``flush`` gets only the short pause."""
        long = min(_MAX_PAUSE_S, self._pause_s * 2.0 ** (self._failures - 1))
        with self._changed:
            if self._changed.wait_for(lambda: self._closing or self._urgent, timeout=long):
                self._changed.wait_for(lambda: self._closing, timeout=min(long, self._pause_s))

    def _pass(self, goal: int) -> bool:
        started = time.monotonic()
        try:
            report = self._mirror.push()
        except Exception as error:
            self._failed(error)
            return False
        with self._changed:
            self._served, self._failures, self._error = goal, 0, None
            self._last_success = time.monotonic()
            self._pass_s = self._last_success - started
            self._changed.notify_all()
        _log_report(self._mirror.uri, report)
        return True

    def _failed(self, error: Exception) -> None:
        known = error if isinstance(error, StorageError) else StorageError(f"{error!r}")
        with self._changed:
            self._failures += 1
            self._error = known
        level = logging.INFO if isinstance(error, LeaseLostError) else logging.WARNING
        _log.log(level, "upload failed %d times in a row: %s", self._failures, known)
        if self._on_error is None:
            return
        try:
            self._on_error(known)
        except Exception:  # the owner's fault must not end the uploads
            _log.exception("who is told of failed uploads failed")


def _log_report(uri: str, report: PushReport) -> None:
    if report.files:
        _log.debug("stored %d files (%d bytes) in %s", report.files, report.bytes, uri)
