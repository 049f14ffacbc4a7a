"""What a store is: keys to objects, with two conditional writes that make it safe to share.

A store needs only six methods. Everything else in this package (publishing once, leases,
synchronised run directories) is built from them, so a new backend is one class, checked by
:class:`roboyard.testing.store_conformance.StoreConformance`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from roboyard.errors import StorageError

_RESERVED = re.compile(r"^\..*\.(tmp|lock)$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_KEY_BYTES = 900  # S3 allows 1024 for prefix and key together


class NotFoundError(StorageError):
    """No object has this key."""


class AlreadyExistsError(StorageError):
    """An object that was to be created is already there; the stored one is untouched."""


class ConflictError(StorageError):
    """The object changed since it was read; the stored one is untouched."""


class DamagedError(StorageError):
    """An object is there, but its content is not what was stored."""


class ObjectInfo(NamedTuple):
    """What a store knows about one object."""

    key: str
    """Its key, relative to the store."""
    size: int
    """Its length [bytes]."""
    version: str
    """Opaque; differs whenever the content differs. Give it to ``put(if_version=...)``."""
    age_s: float
    """Time since it was written [s], measured by the *store's* clock alone, rounded down.

    Comparing two readings of one clock is what lets machines with wrong clocks agree."""
    sha256: str | None = None
    """SHA-256 of the content in hexadecimal, where the store recorded it."""


class Blob(NamedTuple):
    """An object's content together with the version it belongs to."""

    data: bytes
    info: ObjectInfo


class Store(Protocol):
    """A place for objects under POSIX-like relative keys, such as ``ant/r1/status.json``.

    Writes are all or nothing: a reader sees the old object or the new one, also when the
    writer is killed. A write that returned is durable and visible to every later read.

    Every method raises :class:`~roboyard.errors.StorageError` when the store cannot be
    reached, refuses, or is given a bad key (see :func:`check_key`). Methods may be called
    from several threads.
    """

    @property
    def uri(self) -> str:
        """What :func:`roboyard.storage.open_store` opens this store with."""

    def put(
        self,
        key: str,
        source: bytes | Path,
        *,
        if_absent: bool = False,
        if_version: str | None = None,
    ) -> ObjectInfo:
        """Write an object whole, replacing an older one.

        Args:
            key: Where to.
            source: The content, or a file that holds it. Of a file that grows meanwhile,
                what it held at the start is written.
            if_absent: Create only. Of any number of writers exactly one succeeds.
            if_version: Replace only the object with this :attr:`ObjectInfo.version`.

        Raises:
            AlreadyExistsError: ``if_absent`` and there is one.
            ConflictError: ``if_version`` and the object has another version or is gone.
        """

    def get(self, key: str) -> Blob:
        """Read a small object into memory.

        Raises:
            NotFoundError: There is none.
        """

    def download(self, key: str, path: Path) -> ObjectInfo:
        """Write an object's verified content to a file, which appears whole or not at all.

        Raises:
            NotFoundError: There is none.
        """

    def stat(self, key: str) -> ObjectInfo | None:
        """Return what is known about an object, or ``None`` if there is none."""

    def list(self, folder: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects below a folder, at any depth, ordered by key.

        Args:
            folder: A key without its last parts; ``""`` is everything. ``"a/b"`` holds
                ``a/b/c`` but not ``a/bc``.
        """

    def delete(self, key: str) -> None:
        """Remove an object; no error when there is none."""


def check_key(key: str) -> str:
    """Return ``key`` if it is well formed.

    Raises:
        StorageError: It is empty, absolute, too long, or holds ``..``, ``.``, an empty part,
            a backslash, a control character, or a part like ``.x.tmp`` or ``.x.lock``, which
            stores use themselves.
    """
    parts = key.split("/")
    fault = ""
    if any(part in ("", ".", "..") for part in parts):
        fault = "it must be a relative path without '.', '..' or empty parts"
    elif "\\" in key or _CONTROL.search(key):
        fault = "it must not hold backslashes or control characters"
    elif len(key.encode()) > _MAX_KEY_BYTES:
        fault = f"it must be at most {_MAX_KEY_BYTES} bytes long"
    elif any(_RESERVED.match(part) for part in parts):
        fault = "parts like '.x.tmp' and '.x.lock' are reserved for the store"
    if fault:
        raise StorageError(f"key '{key}' cannot be used: {fault}, like 'ant/r1/status.json'.")
    return key


def is_reserved(name: str) -> bool:
    """Return whether stores use such a name themselves, for files that nobody else reads."""
    return _RESERVED.match(name) is not None


def check_condition(key: str, if_absent: bool, if_version: str | None) -> None:
    """Refuse two conditions on one write.

    Raises:
        StorageError: Both are given.
    """
    if if_absent and if_version is not None:
        raise StorageError(f"writing '{key}': give if_absent or if_version, not both.")


def join_key(*parts: str) -> str:
    """Join keys and folders with ``/``, leaving out empty ones."""
    return "/".join(part for part in parts if part)


def not_found(uri: str, key: str) -> NotFoundError:
    """Return the error for a missing object."""
    return NotFoundError(
        f"'{join_key(uri, key)}' does not exist. "
        f"'roboyard runs list {uri}' shows what the store holds."
    )


def already_exists(uri: str, key: str) -> AlreadyExistsError:
    """Return the error for an object that should not be there yet."""
    return AlreadyExistsError(
        f"'{join_key(uri, key)}' is already there and was to be created only once; "
        "it was left as it is."
    )


def conflict(uri: str, key: str) -> ConflictError:
    """Return the error for a lost compare-and-swap."""
    return ConflictError(
        f"'{join_key(uri, key)}' was changed by somebody else since it was read; "
        "it was left as it is. Read it again before writing."
    )
