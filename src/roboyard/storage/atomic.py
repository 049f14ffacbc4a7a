"""Files that are either wholly there or not at all: temporary name, fsync, rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from roboyard.errors import StorageError
from roboyard.storage.leases.guard import check_right, right_to_write

_LOG = logging.getLogger(__name__)
_NO_FSYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_told: set[int] = set()

_HINTS = {
    errno.ENOSPC: " Free some space there, or choose another folder.",
    errno.EDQUOT: " Free some space there, or ask for a larger quota.",
    errno.EACCES: " Choose a folder that you may write to.",
    errno.EPERM: " Choose a folder that you may write to.",
    errno.EROFS: " It is mounted read-only: mount it for writing, or choose another folder.",
    errno.EIO: " The disk or its connection fails: look into the system's log, and use another.",
    errno.ESTALE: " The network's folder was mounted anew: start again, or choose another one.",
    errno.EFBIG: " Files may not be that large: raise the limit (ulimit -f).",
    errno.ENAMETOOLONG: " Choose a shorter path.",
}


def fsync(descriptor: int, path: Path) -> None:
    """Force an open file to the disk, as far as its file system can.

    Args:
        descriptor: The open file.
        path: What to call it.

    Raises:
        OSError: The disk failed.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise
        device = os.fstat(descriptor).st_dev
        if device not in _told:
            _told.add(device)
            _LOG.warning(
                "the file system of '%s' cannot force files to the disk (fsync): what was written "
                "last may be lost or cut short by a power cut, but not by the death of the "
                "process. Use a store on another file system to be safe from both.",
                path,
            )


def fsync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` durable."""
    fsync_file(folder)


def fsync_file(path: Path) -> None:
    """Force a written file to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fsync(descriptor, path)
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
        LeaseLostError: The folder belongs to a run that another process drives.
        StorageError: The disk is full or the folder cannot be written; nothing is left behind.
    """
    check_right(path)
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
        LeaseLostError: The folder belongs to a run that another process drives.
        StorageError: The disk is full or the folder cannot be written; nothing is left behind.
    """
    with staged_file(path) as temporary:
        yield temporary
        fsync_file(temporary)
        with right_to_write(path):
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
