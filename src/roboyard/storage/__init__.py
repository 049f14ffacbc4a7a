"""Where runs live: a folder or ``s3://bucket/prefix`` behind one small protocol."""

from roboyard.storage.base import (
    AlreadyExistsError,
    Blob,
    ConflictError,
    DamagedError,
    NotFoundError,
    ObjectInfo,
    Store,
)
from roboyard.storage.factory import open_store

__all__ = [
    "AlreadyExistsError",
    "Blob",
    "ConflictError",
    "DamagedError",
    "NotFoundError",
    "ObjectInfo",
    "Store",
    "open_store",
]
