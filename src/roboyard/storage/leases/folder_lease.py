"""The right to write to a run's folder, for as long as its lease counts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from roboyard.errors import StorageError
from roboyard.storage.atomic import cannot
from roboyard.storage.leases.lease import Lease, LeaseLostError
from roboyard.storage.leases.record import LEASE_FILE
from roboyard.storage.locks import locked


class FolderGuard:
    """Guards a run's folder: only the holder of the lease in it writes there.

    A process may be frozen at any moment, for longer than its lease counts. What it does
    afterwards is refused, because each write looks at the lease while it holds the lock that
    taking over needs: between look and write nobody can take over.
    """

    def __init__(self, folder: Path, lease: Lease, remote: Lease | None = None) -> None:
        """Guard ``folder``, which must exist.

        Args:
            folder: The run's folder.
            lease: The lease in it.
            remote: The lease in the run's store, if that is elsewhere.
        """
        self._folder = folder.absolute()
        self._lease = lease
        self._remote = remote
        self._identity = _identity(self._folder)

    @property
    def is_certain(self) -> bool:
        """Whether the leases count, as far as this process's clock tells."""
        leases = (self._lease, *([self._remote] if self._remote else []))
        return all(lease.lost is None and lease.remaining_s > 0.0 for lease in leases)

    def check(self) -> None:
        """Make sure that this process may write now.

        A store that is out of reach is no reason to stop: the folder has a lease of its own.

        Raises:
            LeaseLostError: Another process has taken over.
            StorageError: The folder was removed.
        """
        if _identity(self._folder) != self._identity:
            raise StorageError(
                f"the run's folder '{self._folder}' was removed or replaced while the run went "
                "on: its checkpoints are gone. Start the run again."
            )
        self._lease.ensure()
        if self._remote is not None:
            try:
                self._remote.ensure()
            except LeaseLostError:
                raise
            except StorageError:
                return  # said by those who send

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the right while the body runs; taking over waits for its end.

        Raises:
            LeaseLostError: Another process has taken over.
            StorageError: The folder was removed, or the lease cannot be read.
        """
        self.check()
        path = self._folder / LEASE_FILE
        if not path.exists():
            self._lease.renew()  # writes a lease that was removed anew
        with locked(path):
            try:
                self._lease.confirm(path.read_bytes())
            except OSError as error:
                raise cannot("read", path, error) from error
            yield


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
