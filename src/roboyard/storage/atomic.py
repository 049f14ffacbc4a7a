"""Files that are either wholly there or not at all: temporary name, fsync, rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from roboyard.errors import StorageError

_HINTS = {
    errno.ENOSPC: " Free some space there, or choose another folder.",
    errno.EDQUOT: " Free some space there, or ask for a larger quota.",
    errno.EACCES: " Choose a folder that you may write to.",
    errno.EPERM: " Choose a folder that you may write to.",
    errno.EIO: " The disk or its connection fails: look into the system's log, and use another.",
    errno.EROFS: " Choose a folder that you may write to.",
}


def fsync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_file(path: Path) -> None:
    """Force a written file to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hint(error: OSError) -> str:
    """Return what to do about a refused file operation, after a space, or an empty string."""
    return _HINTS.get(error.errno or 0, "")


def cannot(verb: str, path: Path, error: OSError) -> StorageError:
    """Return the error for a refused file operation, with what to do about it."""
    return StorageError(f"cannot {verb} '{path}': {error.strerror or error}.{hint(error)}")


@contextlib.contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Yield an empty temporary file beside ``path``, gone in the end unless it was renamed.

    Raises:
        StorageError: The disk is full or the folder cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unlike tempfile's, it gets the permissions that the user's umask asks for.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
    except OSError as error:
        raise cannot("write", path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; on success it replaces ``path`` in one step.

    Raises:
        StorageError: The disk is full or the folder cannot be written; nothing is left behind.
    """
    with staged_file(path) as temporary:
        yield temporary
        fsync_file(temporary)
        temporary.replace(path)
        fsync_folder(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the file's content atomically and durably.

    Raises:
        StorageError: It cannot be written.
    """
    with replaced_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Replace the file's content atomically and durably.

    Raises:
        StorageError: It cannot be written.
    """
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as indented JSON, atomically and durably.

    Raises:
        StorageError: It cannot be written.
    """
    write_text(path, json.dumps(value, indent=2) + "\n")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
