"""A folder as a store, for one machine or for several that share a file system."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from roboyard.errors import StorageError
from roboyard.storage.atomic import cannot, fsync_file, fsync_folder, replaced_file, staged_file
from roboyard.storage.base import (
    Blob,
    ObjectInfo,
    already_exists,
    check_condition,
    check_key,
    conflict,
    not_found,
)
from roboyard.storage.leases.guard import right_to_write
from roboyard.storage.locks import locked

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


class LocalStore:
    """Objects are plain files below ``root``: fsynced, then renamed or linked into place.

    Creating is a hard link, which the file system grants to one writer only. Compare-and-swap
    holds a lock on ``.<name>.lock`` beside the object; the kernel frees the lock of a process
    that was killed.
    """

    def __init__(self, root: str | Path) -> None:
        """Use a folder, which is created at the first write.

        Args:
            root: The folder.

        Raises:
            StorageError: Something that is not a folder has this name.
        """
        self._root = Path(root).expanduser().absolute()
        if self._root.exists() and not self._root.is_dir():
            raise StorageError(f"store '{root}' is a file; give a folder or 's3://bucket/prefix'.")

    @property
    def uri(self) -> str:
        """The absolute path of the folder."""
        return str(self._root)

    @property
    def root(self) -> Path:
        """The folder."""
        return self._root

    def put(
        self,
        key: str,
        source: bytes | Path,
        *,
        if_absent: bool = False,
        if_version: str | None = None,
    ) -> ObjectInfo:
        """Write an object whole; see :meth:`roboyard.storage.base.Store.put`."""
        check_condition(key, if_absent, if_version)
        path = self._path(key)
        if isinstance(source, Path) and not source.is_file():
            raise cannot("read", source, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
        if if_absent:
            return self._create(key, path, source)
        if if_version is not None:
            return self._swap(key, path, source, if_version)
        with replaced_file(path) as temporary:
            return _fill(key, temporary, source)

    def get(self, key: str) -> Blob:
        """Read a small object; see :meth:`roboyard.storage.base.Store.get`."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                return Blob(file.read(), _info(key, status, self._now()))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise not_found(self.uri, key) from None
        except OSError as error:
            raise cannot("read", path, error) from error

    def download(self, key: str, path: Path) -> ObjectInfo:
        """Copy an object to a file; see :meth:`roboyard.storage.base.Store.download`."""
        origin = self._path(key)
        if not origin.is_file():
            raise not_found(self.uri, key)
        with replaced_file(path) as temporary:
            info = _fill(key, temporary, origin)
        return self._info(key, origin) or info

    def stat(self, key: str) -> ObjectInfo | None:
        """Return what is known about an object, or ``None``."""
        path = self._path(key)
        return self._info(key, path) if path.is_file() else None

    def list(self, folder: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects below a folder; see :meth:`roboyard.storage.base.Store.list`."""
        top = self._path(folder) if folder else self._root
        found: list[tuple[str, Path]] = []
        for parent, _, names in os.walk(top, onerror=_raise_unless_gone):
            for name in names:
                path = Path(parent, name)
                key = path.relative_to(self._root).as_posix()
                with contextlib.suppress(StorageError):  # names that no key can have
                    found.append((check_key(key), path))
        now = self._now()
        for key, path in sorted(found):
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                yield _info(key, path.stat(), now)

    def delete(self, key: str) -> None:
        """Remove an object and the folders that it leaves empty."""
        path = self._path(key)
        try:
            with right_to_write(path):
                path.unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise cannot("delete", path, error) from error
        for parent in path.parents:
            if parent == self._root or not _removed_empty(parent):
                break

    def _path(self, key: str) -> Path:
        return self._root.joinpath(*check_key(key).split("/"))

    def _info(self, key: str, path: Path) -> ObjectInfo | None:
        try:
            return _info(key, path.stat(), self._now())
        except FileNotFoundError:  # deleted meanwhile
            return None
        except OSError as error:
            raise cannot("read", path, error) from error

    def _now(self) -> float:
        """Return the file system's time, which on a network share is the server's."""
        try:
            with tempfile.TemporaryFile(dir=self._root) as probe:
                return os.fstat(probe.fileno()).st_ctime
        except OSError:  # read-only or not there: this machine's clock has to do
            return time.time()

    def _create(self, key: str, path: Path, source: bytes | Path) -> ObjectInfo:
        if path.exists():
            raise already_exists(self.uri, key)
        with staged_file(path) as temporary:
            info = _fill(key, temporary, source)
            fsync_file(temporary)
            with right_to_write(path):
                self._link(key, path, temporary)
            fsync_folder(path.parent)
        return info

    def _link(self, key: str, path: Path, temporary: Path) -> None:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise already_exists(self.uri, key) from None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._create_locked(key, path, temporary)

    def _create_locked(self, key: str, path: Path, temporary: Path) -> None:
        """Create on a file system without hard links."""
        with _locked(path):
            if path.exists():
                raise already_exists(self.uri, key)
            temporary.rename(path)

    def _swap(self, key: str, path: Path, source: bytes | Path, version: str) -> ObjectInfo:
        with _locked(path):
            current = self.stat(key)
            if current is None or current.version != version:
                raise conflict(self.uri, key)
            with replaced_file(path) as temporary:
                return _fill(key, temporary, source)


def _info(key: str, status: os.stat_result, now: float) -> ObjectInfo:
    # A replaced file has another inode, and _fill stamps it with the time in nanoseconds, so
    # that a reused inode cannot be mistaken for the old file within one tick of the kernel.
    version = f"{status.st_mtime_ns:x}-{status.st_ino:x}-{status.st_size:x}"
    # The kernel (or the file server) sets ctime and nobody can set it back.
    return ObjectInfo(key, status.st_size, version, max(0.0, now - status.st_ctime))


def _fill(key: str, target: Path, source: bytes | Path) -> ObjectInfo:
    """Write the content and describe it; renaming and linking change nothing of that."""
    if isinstance(source, bytes):
        target.write_bytes(source)
    else:
        shutil.copyfile(source, target)
    stamp = time.time_ns()
    os.utime(target, ns=(stamp, stamp))
    status = target.stat()
    return _info(key, status, status.st_ctime)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock that belongs to ``path``, across processes and threads."""
    try:
        with locked(path):
            yield
    except OSError as error:
        raise cannot("lock", path, error) from error


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise cannot("list", Path(str(error.filename)), error) from error


def _removed_empty(folder: Path) -> bool:
    try:
        left = list(folder.iterdir())
        if all(path.suffix == ".lock" for path in left):
            for path in left:
                path.unlink(missing_ok=True)
            folder.rmdir()
            return True
    except OSError:  # somebody wrote into it, or removed it first
        pass
    return False
