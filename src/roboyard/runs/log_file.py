"""``train.log``: everything that the package logs while a run goes on."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from roboyard.storage.leases.guard import guard_of
from roboyard.text import ShownFormatter

_LOG = logging.getLogger(__name__)


class _RunLogHandler(logging.FileHandler):
    """Writes to a run's log while the run is this process's; never the reason for a failure.

    Lines of a moment at which the right to write is in doubt wait until it is certain again, and
    are dropped when it is lost.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, delay=True)
        self._waiting: list[logging.LogRecord] = []
        self._failed = False

    def emit(self, record: logging.LogRecord) -> None:
        guard = guard_of(Path(self.baseFilename))
        self._waiting.append(record)
        if guard is not None and not guard.is_certain:
            return
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._write(each)

    def _write(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:  # already when it is opened
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop the line, and say so once: what cannot do without the disk fails by itself."""
        if not self._failed:
            self._failed = True
            error = sys.exc_info()[1]
            _LOG.warning("'%s' misses lines: it cannot be written (%s).", self.baseFilename, error)

    def close(self) -> None:
        # Closing writes what is left, and a disk that fails says so only now.
        with contextlib.suppress(OSError):
            super().close()


@contextlib.contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Append the package's log lines to a file while the body runs."""
    handler = _RunLogHandler(path)
    handler.setFormatter(ShownFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("roboyard")
    level = logger.level
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    hook, threading.excepthook = threading.excepthook, _log_death
    try:
        yield
    finally:
        threading.excepthook = hook
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


def _log_death(end: threading.ExceptHookArgs) -> None:
    """Write to the log which thread ended by an exception, and where; a run has no silent ends."""
    if issubclass(end.exc_type, SystemExit):
        return
    assert end.exc_value is not None
    name = end.thread.name if end.thread is not None else "?"
    trace = (end.exc_type, end.exc_value, end.exc_traceback)
    _LOG.error("thread '%s' ended by an error: %r", name, end.exc_value, exc_info=trace)
