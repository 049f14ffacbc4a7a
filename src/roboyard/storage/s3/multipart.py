"""Large files to S3: in parts, several at a time, all or nothing."""

from __future__ import annotations

import base64
import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from roboyard.errors import StorageError

_log = logging.getLogger(__name__)
_MAX_PARTS = 10_000
_CHUNK = 1 << 20


class Part(NamedTuple):
    """One part of a file."""

    number: int
    offset: int
    size: int
    sha256: bytes


class FileDigest(NamedTuple):
    """A file's content, pinned: its length and the digests of it and of its parts."""

    size: int
    sha256: str
    parts: tuple[Part, ...]


def scan(path: Path, part_bytes: int) -> FileDigest:
    """Read a file once and pin its content."""
    size = path.stat().st_size
    part_bytes = max(part_bytes, -(-size // _MAX_PARTS))
    whole = hashlib.sha256()
    parts: list[Part] = []
    with path.open("rb") as file:
        for number, offset in enumerate(range(0, max(size, 1), part_bytes), start=1):
            digest, length = hashlib.sha256(), min(part_bytes, size - offset)
            left = length
            while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                whole.update(chunk)
                digest.update(chunk)
                left -= len(chunk)
            parts.append(Part(number, offset, length, digest.digest()))
    return FileDigest(size, whole.hexdigest(), tuple(parts))


def encoded(digest: bytes) -> str:
    """Return a digest the way S3's headers want it."""
    return base64.b64encode(digest).decode()


class MultipartUpload:
    """One upload of a pinned file; on any failure its parts are removed from the bucket."""

    def __init__(
        self, call: Callable[..., Mapping[str, Any]], key: str, path: Path, threads: int
    ) -> None:
        """Prepare an upload.

        Args:
            call: ``call(operation, key, **arguments)``, with retries.
            key: Where to, relative to the store.
            path: The file.
            threads: How many parts travel at the same time.
        """
        self._call = call
        self._key = key
        self._path = path
        self._threads = threads
        self._cancelled = threading.Event()

    def run(self, digest: FileDigest, condition: Mapping[str, str]) -> str:
        """Upload and return the new object's ETag.

        Args:
            digest: Of the file.
            condition: ``IfNoneMatch`` or ``IfMatch``, checked when the parts are put together.
        """
        upload_id = self._call(
            "create_multipart_upload",
            self._key,
            ChecksumAlgorithm="SHA256",
            Metadata={"sha256": digest.sha256},
        )["UploadId"]
        try:
            parts = self._upload_parts(upload_id, digest)
            done = self._call(
                "complete_multipart_upload",
                self._key,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},
                **condition,
            )
        except BaseException:
            self._abort(upload_id)
            raise
        return str(done["ETag"])

    def _upload_parts(self, upload_id: str, digest: FileDigest) -> list[dict[str, Any]]:
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="s3-part")
        try:
            return list(pool.map(lambda part: self._upload_part(upload_id, part), digest.parts))
        except BaseException:
            self._cancelled.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _upload_part(self, upload_id: str, part: Part) -> dict[str, Any]:
        if self._cancelled.is_set():
            raise StorageError(f"upload of '{self._path}' was cancelled.")
        with self._path.open("rb") as file:
            file.seek(part.offset)
            body = file.read(part.size)
        if hashlib.sha256(body).digest() != part.sha256:
            raise StorageError(
                f"'{self._path}' was changed while it was being uploaded; nothing was stored. "
                "Upload files only after they are complete."
            )
        checksum = encoded(part.sha256)
        answer = self._call(
            "upload_part",
            self._key,
            UploadId=upload_id,
            PartNumber=part.number,
            Body=body,
            ChecksumSHA256=checksum,
        )
        return {"PartNumber": part.number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}

    def _abort(self, upload_id: str) -> None:
        try:
            self._call("abort_multipart_upload", self._key, UploadId=upload_id)
        except StorageError as error:
            _log.warning(
                "the parts of a failed upload stay in the bucket until its lifecycle rule "
                "(AbortIncompleteMultipartUpload) removes them: %s",
                error,
            )
