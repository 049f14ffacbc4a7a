"""Append-only files that can be cut back: what the writers share."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from roboyard.errors import StorageError


class AppendFile:
    """A binary file that is only appended to; every append reaches the operating system."""

    def __init__(self, path: Path) -> None:
        """Remember the path; the file is made by the first append."""
        self.path = path
        self._descriptor: int | None = None

    def append(self, data: bytes) -> None:
        """Write all of ``data`` at the end.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        try:
            if self._descriptor is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
                self._descriptor = os.open(self.path, flags, 0o644)
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise StorageError(f"cannot write '{self.path}': {error.strerror or error}.") from error

    def replace(self, chunks: Iterable[bytes]) -> None:
        """Replace the content, in one step, by ``chunks``.

        Raises:
            StorageError: The new content cannot be written; the old stays.
        """
        self.close()
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        try:
            with temporary.open("wb") as file:
                file.writelines(chunks)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise StorageError(f"cannot write '{self.path}': {error.strerror or error}.") from error

    def flush(self) -> None:
        """Force the content to the disk."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; the next append opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
