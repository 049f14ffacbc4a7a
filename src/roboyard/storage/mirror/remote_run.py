"""A run that lives in a store and is worked on in a local folder.

This is all that another machine needs: the run's URI. Opening it takes the lease, fetches the
newest intact checkpoint and everything a continued run appends to, and keeps the store up to
date in the background.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Self

from roboyard.errors import StorageError
from roboyard.storage.base import Store
from roboyard.storage.leases.fenced_store import FencedStore
from roboyard.storage.leases.folder_lease import FolderGuard
from roboyard.storage.leases.guard import guarded
from roboyard.storage.leases.lease import DEFAULT_TTL_S, Lease
from roboyard.storage.leases.record import LEASE_FILE
from roboyard.storage.local import LocalStore
from roboyard.storage.mirror.background import BackgroundMirror
from roboyard.storage.mirror.cache import bring_up_to_date
from roboyard.storage.mirror.pull import PullReport
from roboyard.storage.mirror.push import Mirror


class RemoteRun:
    """The open connection between a run's folder and its store; a context manager.

    Example::

        with RemoteRun.open(open_store("s3://bucket/runs/ant/r1"), Path("cache/ant/r1")) as run:
            ...  # write files into the folder
            run.request_push()
    """

    def __init__(
        self, lease: Lease, folder_lease: Lease, mirror: BackgroundMirror, pulled: PullReport
    ) -> None:
        """Use :meth:`open` instead.

        Args:
            lease: The right to drive the run.
            folder_lease: The right to work in the folder.
            mirror: Sends the folder to the store.
            pulled: What was fetched.
        """
        self.lease = lease
        self.folder_lease = folder_lease
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

        What the folder holds already is verified first. Where its newest intact checkpoint is
        newer than the store's, its last files had not been sent when its process ended, and it
        is kept; what is damaged in it is taken from the store.

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
        with contextlib.ExitStack() as stack:
            stack.callback(lease.release)
            # Others of this machine may work in the same folder; the store's may be out of reach.
            here = Lease.acquire(LocalStore(folder), LEASE_FILE, owner, ttl_s, wait_s=ttl_s)
            stack.callback(here.release)
            here.keep_alive()
            with guarded(folder, FolderGuard(folder, here, lease)):
                pulled = bring_up_to_date(store, folder)
            stack.pop_all()
        mirror = BackgroundMirror(Mirror(folder, FencedStore(store, lease)), on_error=on_error)
        return cls(lease, here, mirror, pulled)

    def request_push(self) -> None:
        """Have the folder sent in the background; returns at once."""
        self.mirror.request()

    def close(self, deadline_s: float = 60.0) -> None:
        """Send what is left and give the lease back.

        Raises:
            StorageError: Not everything could be sent in time.
        """
        try:
            self.flush(deadline_s)
        finally:
            self.release()

    def flush(self, deadline_s: float = 60.0) -> None:
        """Send what is left; nothing is sent afterwards.

        Raises:
            StorageError: Not everything could be sent in time.
        """
        if self.lease.epoch > 1:
            self.mirror.doubt()  # a process that was frozen in a request may have finished it
        self.mirror.close(deadline_s)

    def release(self) -> None:
        """Give the leases back; what was not sent stays in the folder."""
        self.mirror.abandon()
        self.lease.release()
        self.folder_lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
