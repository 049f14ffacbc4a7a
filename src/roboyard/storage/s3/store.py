"""A bucket as a store: Amazon S3 or anything that speaks its protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO

from roboyard.errors import StorageError
from roboyard.storage.atomic import cannot, replaced_file
from roboyard.storage.base import (
    Blob,
    DamagedError,
    NotFoundError,
    ObjectInfo,
    already_exists,
    check_condition,
    check_key,
    conflict,
    join_key,
)
from roboyard.storage.s3.client import RefusedError, S3Client, S3Options, S3Requests
from roboyard.storage.s3.errors import is_write_conflict
from roboyard.storage.s3.multipart import MultipartUpload, encoded, scan

_CHUNK = 1 << 20
_CLOCK_RESOLUTION_S = 1.0  # of HTTP dates


class S3Store:
    """Objects below ``s3://bucket/prefix``, with conditional writes.

    Each object carries the SHA-256 of its content as metadata; it is sent as a checksum with
    the upload, so that S3 refuses a damaged one, and verified on every download.
    """

    def __init__(self, bucket: str, prefix: str = "", options: S3Options | None = None) -> None:
        """Describe a store; the service is first contacted when the store is used.

        Args:
            bucket: The bucket's name.
            prefix: Put before every key, without slashes at its ends.
            options: Time limits, retries, sizes.

        Raises:
            MissingDependencyError: boto3 is not installed.
        """
        self._bucket = bucket
        self._prefix = prefix.strip("/")
        self._options = options or S3Options()
        self._requests = S3Requests(bucket, self._prefix, self._options)

    @property
    def uri(self) -> str:
        """``s3://bucket/prefix``."""
        return "s3://" + join_key(self._bucket, self._prefix)

    def put(
        self,
        key: str,
        source: bytes | Path,
        *,
        if_absent: bool = False,
        if_version: str | None = None,
    ) -> ObjectInfo:
        """Write an object whole; see :meth:`roboyard.storage.base.Store.put`."""
        check_key(key)
        check_condition(key, if_absent, if_version)
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        if if_version is not None:
            condition = {"IfMatch": if_version}
        try:
            if isinstance(source, Path) and not self._is_small(source):
                return self._put_parts(key, source, condition)
            data = source if isinstance(source, bytes) else _read(source)
            return self._put_whole(key, data, condition)
        except RefusedError:
            raise (already_exists if if_absent else conflict)(self.uri, key) from None
        except NotFoundError as error:
            if if_version is None:
                raise
            raise conflict(self.uri, key) from error

    def get(self, key: str) -> Blob:
        """Read a small object; see :meth:`roboyard.storage.base.Store.get`."""
        check_key(key)

        def read(client: S3Client) -> Blob:
            answer = client.get_object(Bucket=self._bucket, Key=self._full(key))
            return Blob(answer["Body"].read(), _info(key, answer))

        blob = self._requests.run("get_object", key, read)
        self._verify(key, blob.info, hashlib.sha256(blob.data).hexdigest())
        return blob

    def download(self, key: str, path: Path) -> ObjectInfo:
        """Fetch an object into a file; see :meth:`roboyard.storage.base.Store.download`.

        A connection that breaks is taken up again where it broke; an object that is replaced
        meanwhile is fetched from its start.
        """
        check_key(key)
        with replaced_file(path) as temporary, temporary.open("wb") as file:
            info, sha256 = self._fetch(key, file)
            self._verify(key, info, sha256)
            return info

    def stat(self, key: str) -> ObjectInfo | None:
        """Return what is known about an object, or ``None``."""
        check_key(key)
        try:
            return _info(key, self._requests.call("head_object", key))
        except NotFoundError:
            return None

    def list(self, folder: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects below a folder; see :meth:`roboyard.storage.base.Store.list`."""
        top = join_key(self._prefix, check_key(folder) if folder else "")
        arguments = {"Prefix": f"{top}/" if top else ""}
        skip = len(self._prefix) + 1 if self._prefix else 0
        while True:
            answer = self._requests.call("list_objects_v2", None, **arguments)
            for item in answer.get("Contents", []):
                key = str(item["Key"])[skip:]
                if _is_valid(key):
                    age = _age(answer, item["LastModified"])
                    yield ObjectInfo(key, int(item["Size"]), str(item["ETag"]), age)
            if not answer.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = answer["NextContinuationToken"]

    def delete(self, key: str) -> None:
        """Remove an object; no error when there is none."""
        check_key(key)
        self._requests.call("delete_object", key)

    def _fetch(self, key: str, file: BinaryIO) -> tuple[ObjectInfo, str]:
        """Return what was fetched and its SHA-256."""
        for left in reversed(range(self._options.retries.attempts)):
            transfer = _Download(self._bucket, self._full(key), file)
            try:
                info = self._requests.run("get_object", key, transfer.go_on)
            except RefusedError:  # replaced between two connections
                if not left:
                    raise
                file.seek(0)
                file.truncate()
            else:
                return info._replace(key=key), transfer.digest.hexdigest()
        raise AssertionError("unreachable")

    def _put_whole(self, key: str, data: bytes, condition: Mapping[str, str]) -> ObjectInfo:
        digest = hashlib.sha256(data)
        sha256 = digest.hexdigest()
        try:
            answer = self._requests.call(
                "put_object",
                key,
                Body=data,
                ChecksumSHA256=encoded(digest.digest()),
                Metadata={"sha256": sha256},
                **condition,
            )
        except RefusedError as refusal:
            return self._done_before(key, sha256, refusal)
        return ObjectInfo(key, len(data), str(answer["ETag"]), 0.0, sha256)

    def _put_parts(self, key: str, path: Path, condition: Mapping[str, str]) -> ObjectInfo:
        digest = scan(path, self._options.part_bytes)

        def upload(_: int) -> str:
            transfer = MultipartUpload(self._requests.call, key, path, self._options.threads)
            return transfer.run(digest, condition)

        try:
            # S3 wants the whole upload again after a 409, not only its last request.
            etag = self._options.retries.run(upload, _caused_by_write_conflict)
        except RefusedError as refusal:
            return self._done_before(key, digest.sha256, refusal)
        except OSError as error:
            raise cannot("read", path, error) from error
        return ObjectInfo(key, digest.size, etag, 0.0, digest.sha256)

    def _done_before(self, key: str, sha256: str, refusal: RefusedError) -> ObjectInfo:
        """Return the object if an attempt whose answer got lost had written it after all."""
        info = self.stat(key) if refusal.retried else None
        if info is None or info.sha256 != sha256:
            raise refusal
        return info

    def _verify(self, key: str, info: ObjectInfo, sha256: str) -> None:
        if info.sha256 is not None and info.sha256 != sha256:
            raise DamagedError(
                f"'{join_key(self.uri, key)}' is damaged: its SHA-256 is {sha256[:12]}..., "
                f"it was stored as {info.sha256[:12]}.... Use an older copy, or upload it again."
            )

    def _is_small(self, path: Path) -> bool:
        try:
            return path.stat().st_size <= self._options.part_bytes
        except OSError as error:
            raise cannot("read", path, error) from error

    def _full(self, key: str) -> str:
        return join_key(self._prefix, key)


class _Download:
    """One object on its way into a file, over as many connections as it takes."""

    def __init__(self, bucket: str, full_key: str, file: BinaryIO) -> None:
        self._bucket = bucket
        self._key = full_key
        self._file = file
        self._first: ObjectInfo | None = None
        self.digest = hashlib.sha256()

    def go_on(self, client: S3Client) -> ObjectInfo:
        """Fetch what is still missing."""
        arguments = {}
        if self._first is not None and self._file.tell():
            arguments = {"Range": f"bytes={self._file.tell()}-", "IfMatch": self._first.version}
        answer = client.get_object(Bucket=self._bucket, Key=self._key, **arguments)
        self._first = self._first or _info(self._key, answer)
        for chunk in answer["Body"].iter_chunks(_CHUNK):
            self._file.write(chunk)
            self.digest.update(chunk)
        return self._first


def _caused_by_write_conflict(error: Exception) -> bool:
    return isinstance(error.__cause__, Exception) and is_write_conflict(error.__cause__)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise cannot("read", path, error) from error


def _is_valid(key: str) -> bool:
    try:
        return bool(check_key(key))
    except StorageError:  # such as the markers "folder/" that consoles create
        return False


def _info(key: str, answer: Mapping[str, Any]) -> ObjectInfo:
    sha256 = answer.get("Metadata", {}).get("sha256")
    age = _age(answer, answer["LastModified"])
    return ObjectInfo(key, int(answer["ContentLength"]), str(answer["ETag"]), age, sha256)


def _age(answer: Mapping[str, Any], modified: datetime) -> float:
    """Return how old an object is [s], from two readings of the service's own clock."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if not date:
        return 0.0
    age = (parsedate_to_datetime(date) - modified).total_seconds()
    return max(0.0, age - _CLOCK_RESOLUTION_S)
