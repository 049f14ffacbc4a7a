"""What every metric writer can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


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
