"""A run directory, mirrored into a store while the run goes on."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from roboyard.errors import StorageError
from roboyard.storage import atomic
from roboyard.storage.base import (
    AlreadyExistsError,
    ConflictError,
    DamagedError,
    NotFoundError,
    ObjectInfo,
    Store,
    check_key,
    join_key,
)
from roboyard.storage.mirror.outgoing import Outgoing
from roboyard.storage.mirror.run_layout import (
    MANIFEST,
    PartFacts,
    checkpoint_of,
    checkpoints_among,
    is_manifest,
    is_private,
    is_published,
    is_segment,
    parse_manifest,
    upload_rank,
)

_log = logging.getLogger(__name__)


class PushReport(NamedTuple):
    """What one pass did."""

    files: int
    """Files that were stored."""
    bytes: int
    """Their length."""
    unchanged: int
    """Files that were stored already."""
    removed: int
    """Rotated checkpoints that were removed from the store."""


class _Stamp(NamedTuple):
    """Changes whenever a file does."""

    size: int
    mtime_ns: int
    inode: int


class Mirror:
    """Brings a store up to date with a run directory, one pass at a time.

    At every moment, also when the process is killed in the middle of a pass, the store holds
    only checkpoints that are complete. Files that did not change are not sent again.
    """

    def __init__(self, folder: Path, store: Store, prefix: str = "", threads: int = 4) -> None:
        """Prepare; nothing is read or sent yet.

        Args:
            folder: The run directory.
            store: Where to.
            prefix: The run's folder in the store; ``""`` if the store's URI is the run's.
            threads: How many files travel at the same time.
        """
        self._folder = folder
        self._store = store
        self._prefix = prefix
        self._threads = threads
        self._outgoing = Outgoing(folder)
        self._sent: dict[str, _Stamp] = {}
        self._versions: dict[str, str] = {}
        self._in_doubt = False
        self._remote: dict[str, ObjectInfo] | None = None
        self._complete: set[str] = set()

    @property
    def uri(self) -> str:
        """Where the run is in the store."""
        return join_key(self._store.uri, self._prefix)

    def push(self) -> PushReport:
        """Send what changed since the last pass.

        Not for several threads at once.

        Raises:
            StorageError: Something could not be stored; the next pass tries it again.
        """
        if self._remote is None:
            self._remote = self._list()
        if self._in_doubt:
            self._forget_replaced()
        local = dict(self._scan())
        with ThreadPoolExecutor(self._threads, thread_name_prefix="push") as pool:
            same = pool.map(self._is_same, local, local.values())
            changed = [key for key, equal in zip(local, same, strict=True) if not equal]
            held = self._outgoing.held_back(local, changed)
            held |= self._standing({*changed} - held)
            changed = [key for key in changed if key not in held]
            sent: dict[str, int] = {}
            for rank in sorted({upload_rank(key) for key in changed}):
                keys = list(self._sendable(changed, rank, sent))
                sizes = pool.map(self._send, keys, [local[key] for key in keys])
                sent |= {key: size for key, size in zip(keys, sizes, strict=True) if size >= 0}
        self._complete |= {f for f in checkpoints_among(local) if f"{f}/{MANIFEST}" in self._sent}
        removed = self._remove_rotated(local)
        unchanged = len(local) - len(changed) - len(held)
        return PushReport(len(sent), sum(sent.values()), unchanged, removed)

    def _scan(self) -> Iterator[tuple[str, _Stamp]]:
        """Yield the run's files, without those of checkpoints that are not complete."""
        found = dict(_walk(self._folder))
        complete = set(checkpoints_among(found))
        for key, stamp in found.items():
            folder = checkpoint_of(key)
            if (folder is None or folder in complete) and not (
                is_private(key) or is_published(key)
            ):
                yield key, stamp

    def _list(self) -> dict[str, ObjectInfo]:
        skip = len(self._prefix) + 1 if self._prefix else 0
        return {info.key[skip:]: info for info in self._store.list(self._prefix)}

    def _is_same(self, key: str, stamp: _Stamp) -> bool:
        if self._sent.get(key) == stamp:
            return True
        known = self._remote.pop(key, None) if self._remote else None
        if known is not None:
            self._versions[key] = known.version
        if key in self._sent or known is None or known.size != stamp.size:
            return False
        stored = self._store.stat(self._full(key))
        if stored is None or stored.sha256 is None:
            return False
        try:
            same = atomic.sha256(self._folder / key) == stored.sha256
        except FileNotFoundError:  # rotated meanwhile
            return False
        if same:
            self._sent[key], self._versions[key] = stamp, stored.version
        return same

    def doubt(self) -> None:
        """Have the next pass look whether the store still holds what was sent."""
        self._in_doubt = True

    def _forget_replaced(self) -> None:
        """Send again what somebody else has replaced since, such as a process that was frozen."""
        there = self._list()
        for key, version in list(self._versions.items()):
            if key in self._sent and (key not in there or there[key].version != version):
                del self._sent[key]
        self._in_doubt = False

    def _standing(self, changed: set[str]) -> set[str]:
        """Return files that stay unsent because the store has a good checkpoint of that step.

        The manifest of one that is not good is taken away before its parts are replaced.
        """
        standing: set[str] = set()
        for folder in sorted({folder for key in changed if (folder := checkpoint_of(key))}):
            manifest = f"{folder}/{MANIFEST}"
            try:
                stored = self._store.get(self._full(manifest)).data
            except NotFoundError:
                continue
            except DamagedError:
                stored = b""
            if stored == _read(self._folder / manifest):
                continue  # the same checkpoint: what is missing or damaged there is mended
            if self._is_intact(folder, stored):
                standing |= {key for key in changed if checkpoint_of(key) == folder}
                continue
            self._store.delete(self._full(manifest))
            self._sent.pop(manifest, None)
            self._versions.pop(manifest, None)
        return standing

    def _is_intact(self, folder: str, manifest: bytes) -> bool:
        """Return whether a stored checkpoint's files are those that its manifest names."""
        try:
            facts = parse_manifest(manifest, folder)
        except DamagedError:
            return False
        return all(self._holds(key, each) for key, each in facts.items())

    def _holds(self, key: str, facts: PartFacts) -> bool:
        info = self._store.stat(self._full(key))
        if info is None or info.size != facts.size:
            return False
        if info.sha256 is not None:
            return info.sha256 == facts.sha256
        content = self._store.get(self._full(key)).data  # a store that records no checksums
        return hashlib.sha256(content).hexdigest() == facts.sha256

    def _sendable(self, changed: list[str], rank: int, sent: dict[str, int]) -> Iterator[str]:
        """Yield the files of a rank; a manifest only if all changed parts were sent."""
        unsent = [key for key in changed if key not in sent and not is_manifest(key)]
        incomplete = {checkpoint_of(key) for key in unsent}
        for key in changed:
            if upload_rank(key) == rank and not (
                is_manifest(key) and checkpoint_of(key) in incomplete
            ):
                yield key

    def _send(self, key: str, stamp: _Stamp) -> int:
        """Store one file and return its length, or -1 if it has vanished meanwhile."""
        path = self._folder / key
        try:
            info = self._put(key, path)
        except StorageError:
            if path.exists():
                raise
            return -1
        self._sent[key], self._versions[key] = stamp, info.version
        return info.size

    def _put(self, key: str, path: Path) -> ObjectInfo:
        """Replace the object that is known, not one that another driver has written since.

        A process may be frozen in the middle of a request that it finishes when it wakes.
        """
        full, known = self._full(key), self._versions.get(key)
        try:
            return self._store.put(full, path, if_absent=known is None, if_version=known)
        except (AlreadyExistsError, ConflictError):
            # Who drives the run may replace it; the store asks for the lease once more.
            stored = self._store.stat(full)
            known = stored.version if stored is not None else None
            return self._store.put(full, path, if_absent=known is None, if_version=known)

    def _remove_rotated(self, files: Mapping[str, _Stamp]) -> int:
        """Remove checkpoints that this mirror stored and that are no longer in the folder.

        Only while another one is safe in the store: a folder that was wiped takes nothing
        with it.
        """
        local = set(checkpoints_among(files))
        rotated = sorted(self._complete - local)
        if not self._complete & local:
            return 0
        for folder in rotated:
            keys = [key for key in self._sent if checkpoint_of(key) == folder]
            try:
                for key in sorted(keys, key=is_manifest, reverse=True):
                    self._store.delete(self._full(key))
            except StorageError as error:
                _log.warning("an old checkpoint stays in the store: %s", error)
            self._complete.discard(folder)
            for key in keys:
                del self._sent[key]
                self._versions.pop(key, None)
        self._remove_segments([key for key in self._sent if is_segment(key) and key not in files])
        return len(rotated)

    def _remove_segments(self, keys: Iterable[str]) -> None:
        for key in keys:
            try:
                self._store.delete(self._full(key))
            except StorageError as error:
                _log.warning("a part of old checkpoints stays in the store: %s", error)
            del self._sent[key]
            self._versions.pop(key, None)

    def _full(self, key: str) -> str:
        return join_key(self._prefix, key)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _walk(folder: Path) -> Iterator[tuple[str, _Stamp]]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            key = path.relative_to(folder).as_posix()
            try:
                status = path.stat(follow_symlinks=False)
                check_key(key)
            except (FileNotFoundError, StorageError):  # vanished, or a temporary file
                continue
            if path.is_file() and not path.is_symlink():
                yield key, _Stamp(status.st_size, status.st_mtime_ns, status.st_ino)
