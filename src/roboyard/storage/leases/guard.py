"""The right to write below a folder, asked at every write that goes there.

While a run is driven, its folder is *guarded*. Whatever replaces, appends to or removes a file
below it passes :func:`right_to_write`, wherever in the package that happens, so that a process
that lost its run leaves it untouched. Folders that nobody guards may be written freely.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from roboyard.storage.leases.record import LEASE_FILE


class Guard(Protocol):
    """Knows whether this process may write below a folder."""

    def check(self) -> None:
        """Make sure that it may, now.

        Raises:
            LeaseLostError: It may not.
        """

    def hold(self) -> AbstractContextManager[None]:
        """Keep the right while the body runs: nobody can take it over meanwhile.

        Raises:
            LeaseLostError: It may not write.
        """

    @property
    def is_certain(self) -> bool:
        """Whether the right is beyond doubt, without looking anywhere."""


_guards: dict[Path, Guard] = {}


@contextlib.contextmanager
def guarded(folder: Path, guard: Guard) -> Iterator[None]:
    """Have every write below ``folder`` ask ``guard`` while the body runs."""
    folder = folder.absolute()
    _guards[folder] = guard
    try:
        yield
    finally:
        del _guards[folder]


def guard_of(path: Path) -> Guard | None:
    """Return what guards a path; the lease itself is guarded by nothing."""
    if not _guards or path.name == LEASE_FILE:
        return None
    path = path.absolute()
    return next((guard for top, guard in _guards.items() if path.is_relative_to(top)), None)


def check_right(path: Path) -> None:
    """Make sure that this process may write at ``path``.

    Raises:
        LeaseLostError: Another process drives the run that it belongs to.
    """
    guard = guard_of(path)
    if guard is not None:
        guard.check()


@contextlib.contextmanager
def right_to_write(path: Path) -> Iterator[None]:
    """Hold the right to write at ``path`` while the body runs; keep the body short.

    Raises:
        LeaseLostError: Another process drives the run that it belongs to; nothing was written.
    """
    guard = guard_of(path)
    if guard is None:
        yield
        return
    with guard.hold():
        yield
