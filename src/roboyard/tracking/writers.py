"""What every metric writer can do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class RecordFile(Protocol):
    """A file of the run that grows, and whose content can be recognised again."""

    @property
    def path(self) -> Path:
        """The file."""

    def fingerprint(self) -> tuple[int, str]:
        """Return length and SHA-256 of what it holds."""


@runtime_checkable
class MetricWriter(Protocol):
    """A place that metrics are written to.

    A continued run calls ``truncate_after`` with its checkpoint's step before the first
    ``write``, so that steps that are done again do not appear twice.
    """

    def write(self, metrics: Mapping[str, float], step: int) -> None:
        """Append one row; it survives the death of the process once this returns."""

    def truncate_after(self, step: int) -> None:
        """Forget every row of a later step, and a last row that was cut short."""

    def flush(self) -> None:
        """Make what was written survive the loss of power."""

    def close(self) -> None:
        """Release the file; calling it twice does no harm."""
