"""Results that are published exactly once, however many machines try."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from roboyard.storage import atomic
from roboyard.storage.base import AlreadyExistsError, ObjectInfo, Store, join_key


class Publication(NamedTuple):
    """What came of publishing."""

    info: ObjectInfo
    """The object that now stands."""
    new: bool
    """Whether this call wrote it; otherwise the same content was there already."""


def publish_once(store: Store, key: str, source: bytes | Path) -> Publication:
    """Write a result that must never change afterwards.

    Publishing the same content again is no error, so that a continued run may repeat its last
    step without asking how far it had come.

    Args:
        store: Where to.
        key: Under which key.
        source: The content, or a file that holds it.

    Raises:
        AlreadyExistsError: Another content was published before; it stands.
    """
    try:
        return Publication(store.put(key, source, if_absent=True), True)
    except AlreadyExistsError as error:
        ours = _sha256(source)
        blob = store.get(key)
        theirs = hashlib.sha256(blob.data).hexdigest()
        if ours == theirs:
            return Publication(blob.info, False)
        raise AlreadyExistsError(
            f"'{join_key(store.uri, key)}' was published before with another content "
            f"(SHA-256 {theirs[:12]}..., this one has {ours[:12]}...); the first one stands. "
            "Publish a different result under a different key."
        ) from error


def _sha256(source: bytes | Path) -> str:
    if isinstance(source, Path):
        return atomic.sha256(source)
    return hashlib.sha256(source).hexdigest()
