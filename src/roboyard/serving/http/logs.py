"""Structured logs: one JSON object a line on standard error."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """Writes a record and its ``extra`` as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        content: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        content.update({key: value for key, value in vars(record).items() if key not in _OWN})
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, default=str)


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out what uvicorn says when a session is refused with an HTTP answer, as it should."""
    return "without completing handshake" not in record.getMessage()


def configure_logs(stream: TextIO | None = None) -> None:
    """Send the server's log to a stream as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_is_news)
    for name, level in (("roboyard.serving", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
