"""Append-only files that can be cut back: what the writers share."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from roboyard.errors import StorageError
from roboyard.storage import atomic
from roboyard.storage.leases.guard import right_to_write

_LOG = logging.getLogger(__name__)


class AppendFile:
    """A binary file that is only appended to; every append reaches the operating system."""

    def __init__(self, path: Path) -> None:
        """Remember the path; the file is made by the first append."""
        self.path = path
        self._descriptor: int | None = None
        self._digest: hashlib._Hash | None = None
        self._length = 0

    def append(self, data: bytes) -> None:
        """Write all of ``data`` at the end.

        Raises:
            LeaseLostError: The file belongs to a run that another process drives.
            StorageError: The disk is full or the folder cannot be written.
        """
        try:
            with right_to_write(self.path):
                view = memoryview(data)
                descriptor = self._opened()
                while view:
                    view = view[os.write(descriptor, view) :]
        except OSError as error:
            self._digest = None
            raise self._cannot_write(error) from error
        if self._digest is not None:
            self._digest.update(data)
            self._length += len(data)

    def replace(self, chunks: Iterable[bytes]) -> None:
        """Replace the content, in one step, by ``chunks``.

        Raises:
            LeaseLostError: The file belongs to a run that another process drives.
            StorageError: The new content cannot be written; the old stays.
        """
        self.close()
        atomic.write_bytes(self.path, b"".join(chunks))

    def fingerprint(self) -> tuple[int, str]:
        """Return length and SHA-256 of the content; what was appended is not read again."""
        if self._digest is None:
            content = self.path.read_bytes() if self.path.exists() else b""
            self._digest, self._length = hashlib.sha256(content), len(content)
        return self._length, self._digest.hexdigest()

    def flush(self) -> None:
        """Force the content to the disk."""
        if self._descriptor is not None:
            try:
                atomic.fsync(self._descriptor, self.path)
            except OSError as error:
                raise self._cannot_write(error) from error

    def close(self) -> None:
        """Close the file; the next append opens it again."""
        self._digest = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _opened(self) -> int:
        """Return the open file, which has the name that others look for."""
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_nlink > 1:
                # Another name of the file is somebody else's: it must not grow with ours.
                atomic.write_bytes(self.path, self.path.read_bytes())
            self._descriptor = self._open()
        elif not self._has_its_name():
            self._write_anew(self._descriptor)
        return self._descriptor

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)

    def _has_its_name(self) -> bool:
        assert self._descriptor is not None
        mine = os.fstat(self._descriptor)
        try:
            named = self.path.stat()
        except FileNotFoundError:
            return False
        return (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)

    def _write_anew(self, old: int) -> None:
        """Bring back a file that was removed or replaced, from the one that is still open."""
        content = os.pread(old, os.fstat(old).st_size, 0)
        temporary = self.path.with_name(f".{self.path.name}.anew.tmp")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        atomic.fsync_file(temporary)
        temporary.replace(self.path)
        os.close(old)
        self._descriptor = self._open()
        _LOG.warning("'%s' was removed while the run went on, and written anew.", self.path)

    def _cannot_write(self, error: OSError) -> StorageError:
        return atomic.cannot("write", self.path, error)
