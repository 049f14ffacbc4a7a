"""From a URI to a store."""

from __future__ import annotations

import re

from roboyard.errors import StorageError
from roboyard.registry import suggest
from roboyard.storage.base import Store
from roboyard.storage.local import LocalStore

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://?(.*)$")
_BUCKET = re.compile(r"^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$")


def open_store(uri: str) -> Store:
    """Open a store; nothing is contacted or created before it is used.

    Args:
        uri: A folder (``runs``, ``/data/runs``, ``file:///data/runs``) or
            ``s3://bucket/prefix``.

    Raises:
        StorageError: The scheme is unknown, or the bucket's name is impossible.
        MissingDependencyError: ``s3://`` without the ``aws`` extra.
    """
    match = _SCHEME.match(uri)
    if not match:
        if not uri.strip():
            raise StorageError("the store's name is empty; give a folder or 's3://bucket/prefix'.")
        return LocalStore(uri)
    scheme, rest = match[1].lower(), match[2]
    if scheme == "file":
        return LocalStore("/" + rest.lstrip("/"))
    if scheme != "s3":
        raise StorageError(
            f"store '{uri}': scheme '{match[1]}' is not known. "
            f"Allowed: a folder, file:///folder or s3://bucket/prefix."
            f"{suggest(scheme, ['s3', 'file'])}"
        )
    bucket, _, prefix = rest.lstrip("/").partition("/")
    if not _BUCKET.match(bucket):
        raise StorageError(
            f"store '{uri}': '{bucket}' cannot be a bucket's name (3 to 63 lower-case letters, "
            "digits, '.' and '-'); write s3://bucket/prefix."
        )
    from roboyard.storage.s3.store import S3Store

    return S3Store(bucket, prefix.strip("/"))
