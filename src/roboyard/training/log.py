"""``train.log``: everything that the package logs while a run goes on."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from roboyard.text import ShownFormatter


class _QuietFileHandler(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop the line: a full disk is reported once, by what cannot do without it."""


@contextlib.contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Append the package's log lines to a file while the body runs."""
    handler = _QuietFileHandler(path, delay=True)
    handler.setFormatter(ShownFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("roboyard")
    level = logger.level
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
