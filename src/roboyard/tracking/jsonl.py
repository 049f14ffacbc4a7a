"""One JSON object a line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from roboyard import json_text
from roboyard.tracking.files import AppendFile


def _finite(value: object) -> object:
    # JSON knows no NaN or infinity; null says "no number" to every reader.
    return None if isinstance(value, float) and not math.isfinite(value) else value


class JsonlWriter:
    """Appends rows ``{"step": ..., **values}`` to a file."""

    def __init__(self, path: Path) -> None:
        """Write to ``path``, which is made by the first row."""
        self._file = AppendFile(path)

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    def write(self, metrics: Mapping[str, float], step: int) -> None:
        """Append one row."""
        self.write_row({"step": step, **metrics})

    def write_row(self, row: Mapping[str, object]) -> None:
        """Append one row of any JSON values; it must have an integer ``step``.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        text = json.dumps({key: _finite(value) for key, value in row.items()})
        self._file.append(text.encode() + b"\n")

    def truncate_after(self, step: int) -> None:
        """Forget every row of a later step, and a last row that was cut short."""
        if not self.path.exists():
            return
        old = self.path.read_bytes()
        kept = [line for line in old.splitlines(keepends=True) if _keep(line, step)]
        if sum(map(len, kept)) != len(old):
            self._file.replace(kept)

    def flush(self) -> None:
        """Force the rows to the disk."""
        self._file.flush()

    def fingerprint(self) -> tuple[int, str]:
        """Return length and SHA-256 of the file."""
        return self._file.fingerprint()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _keep(line: bytes, step: int) -> bool:
    if not line.endswith(b"\n"):
        return False
    try:
        return int(json_text.loads(line)["step"]) <= step
    except (ValueError, KeyError, TypeError):
        return False


def read_rows(path: Path) -> list[dict[str, object]]:
    """Return the whole rows of a file, or none if it does not exist."""
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    return [json_text.loads(line) for line in lines if line.endswith(b"\n") and line.strip()]
