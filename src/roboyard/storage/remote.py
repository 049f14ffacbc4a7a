"""A run that lives in a store and is worked on in a local folder.

This is all that another machine needs: the run's URI. Opening it takes the lease, fetches the
newest intact checkpoint and everything a continued run appends to, and keeps the store up to
date in the background.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from roboyard.errors import StorageError
from roboyard.storage.background import BackgroundMirror
from roboyard.storage.base import Store
from roboyard.storage.fenced import FencedStore
from roboyard.storage.layout import MANIFEST, checkpoints_among, step_of
from roboyard.storage.lease import DEFAULT_TTL_S, Lease
from roboyard.storage.lease_record import LEASE_FILE
from roboyard.storage.pull import PullReport, pull
from roboyard.storage.push import Mirror

_NOTHING = PullReport(0, 0, None, ())


class RemoteRun:
    """The open connection between a run's folder and its store; a context manager.

    Example::

        with RemoteRun.open(open_store("s3://bucket/runs/ant/r1"), Path("cache/ant/r1")) as run:
            ...  # write files into the folder
            run.request_push()
    """

    def __init__(self, lease: Lease, mirror: BackgroundMirror, pulled: PullReport) -> None:
        """Use :meth:`open` instead.

        Args:
            lease: The right to drive the run.
            mirror: Sends the folder to the store.
            pulled: What was fetched.
        """
        self.lease = lease
        self.mirror = mirror
        self.pulled = pulled

    @classmethod
    def open(
        cls,
        store: Store,
        folder: Path,
        *,
        owner: str = "",
        ttl_s: float = DEFAULT_TTL_S,
        wait_s: float = 0.0,
        on_error: Callable[[StorageError], None] | None = None,
    ) -> Self:
        """Take the lease, then bring the folder up to date.

        A folder whose newest checkpoint is at least as new as the store's is left as it is:
        its last files had not been sent when its process ended.

        Args:
            store: The run's own store; its URI is the run's.
            folder: Where to work on the run; made if needed.
            owner: What to call this process in messages to others.
            ttl_s: Silence after which others may take over [s].
            wait_s: How long to wait for another holder to let go [s].
            on_error: Called from a thread when something could not be stored.

        Raises:
            LeaseHeldError: Another process drives the run.
            StorageError: The store fails, or none of the run's checkpoints is intact.
        """
        lease = Lease.acquire(store, LEASE_FILE, owner, ttl_s, wait_s=wait_s)
        lease.keep_alive()
        try:
            newest = max(_steps(path.relative_to(folder) for path in folder.rglob(MANIFEST)))
            stored = max(_steps(Path(info.key) for info in store.list()))
            pulled = pull(store, "", folder) if newest < 0 or stored > newest else _NOTHING
        except BaseException:
            lease.release()
            raise
        mirror = BackgroundMirror(Mirror(folder, FencedStore(store, lease)), on_error=on_error)
        return cls(lease, mirror, pulled)

    def request_push(self) -> None:
        """Have the folder sent in the background; returns at once."""
        self.mirror.request()

    def close(self, deadline_s: float = 60.0) -> None:
        """Send what is left and give the lease back.

        Raises:
            StorageError: Not everything could be sent in time.
        """
        try:
            self.mirror.close(deadline_s)
        finally:
            self.lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _steps(paths: Iterable[Path]) -> list[int]:
    """Return the steps of the complete checkpoints among files, and -1."""
    return [-1, *(step_of(folder) for folder in checkpoints_among(p.as_posix() for p in paths))]
