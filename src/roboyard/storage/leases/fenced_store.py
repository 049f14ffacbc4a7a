"""A store that refuses to write once the lease is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from roboyard.storage.base import Blob, ObjectInfo, Store
from roboyard.storage.leases.lease import Lease


class FencedStore:
    """Passes everything on, and asks the lease before each write."""

    def __init__(self, store: Store, lease: Lease) -> None:
        """Wrap ``store``.

        Args:
            store: What to protect.
            lease: Must count at the moment of each write.
        """
        self._store = store
        self._lease = lease

    @property
    def uri(self) -> str:
        """That of the wrapped store."""
        return self._store.uri

    def put(
        self,
        key: str,
        source: bytes | Path,
        *,
        if_absent: bool = False,
        if_version: str | None = None,
    ) -> ObjectInfo:
        """Write while the lease counts; see :meth:`roboyard.storage.base.Store.put`.

        Raises:
            LeaseLostError: It does not; nothing was written.
        """
        self._lease.check()
        return self._store.put(key, source, if_absent=if_absent, if_version=if_version)

    def get(self, key: str) -> Blob:
        """Read a small object."""
        return self._store.get(key)

    def download(self, key: str, path: Path) -> ObjectInfo:
        """Fetch an object into a file."""
        return self._store.download(key, path)

    def stat(self, key: str) -> ObjectInfo | None:
        """Return what is known about an object."""
        return self._store.stat(key)

    def list(self, folder: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects below a folder."""
        return self._store.list(folder)

    def delete(self, key: str) -> None:
        """Remove an object while the lease counts.

        Raises:
            LeaseLostError: It does not; nothing was removed.
        """
        self._lease.check()
        self._store.delete(key)
