"""Requests to S3: one boto3 client, retries, and errors that say what to do.

The endpoint, region and credentials come from where boto3 looks for them: the environment
(``AWS_ENDPOINT_URL``, ``AWS_PROFILE``, ...), ``~/.aws`` and the instance's role.

Retries are our own, not botocore's: botocore draws its pauses from Python's global random
generator, which would change the numbers of a run that uploads in the background.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from roboyard.errors import StorageError
from roboyard.optional import require
from roboyard.storage.base import NotFoundError, join_key, not_found
from roboyard.storage.retry import Retries
from roboyard.storage.s3.errors import (
    code_of,
    explain,
    is_expired,
    is_precondition_failure,
    is_transient,
    is_write_conflict,
)

T = TypeVar("T")
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


@dataclass(frozen=True)
class S3Options:
    """How to talk to the service; the defaults suit a training machine."""

    endpoint_url: str | None = None
    """Address of the service; by default ``AWS_ENDPOINT_URL`` or Amazon's."""
    region: str | None = None
    """Region; by default boto3's."""
    connect_timeout_s: float = 10.0
    """Longest wait for a connection [s]."""
    read_timeout_s: float = 60.0
    """Longest silence of the service [s]."""
    retries: Retries = field(default_factory=Retries)
    """How often a failed request is tried again."""
    part_bytes: int = 16 << 20
    """Files longer than this travel in parts of this length [bytes]; S3 wants at least 5 MiB."""
    threads: int = 4
    """Parts of one file that travel at the same time."""


class S3Client(Protocol):
    """The part of boto3's client that is called by name."""

    def get_object(self, **arguments: object) -> Mapping[str, Any]:
        """Open an object for reading."""


class RefusedError(StorageError):
    """A write's condition did not hold, or its upload is already completed."""

    def __init__(self, message: str, *, retried: bool) -> None:
        """Create the error.

        Args:
            message: What happened.
            retried: Whether an earlier attempt, whose answer got lost, may have succeeded.
        """
        super().__init__(message)
        self.retried = retried


class S3Requests:
    """Sends requests about the objects below one prefix."""

    def __init__(self, bucket: str, prefix: str, options: S3Options) -> None:
        """Prepare; the first request creates the client.

        Args:
            bucket: The bucket's name.
            prefix: Put before every key.
            options: Time limits, retries, sizes.

        Raises:
            MissingDependencyError: boto3 is not installed.
        """
        self._boto3 = require("boto3", "aws")
        self._config = require("botocore.config", "aws").Config
        exceptions = require("botocore.exceptions", "aws")
        self._failures = (exceptions.BotoCoreError, exceptions.ClientError)
        self._bucket = bucket
        self._prefix = prefix
        self._options = options
        self._lock = threading.Lock()
        self._cached_client: S3Client | None = None

    def call(self, operation: str, key: str | None, **arguments: object) -> Mapping[str, Any]:
        """Send one request and return its answer.

        Args:
            operation: The client's method, such as ``put_object``.
            key: Relative to the prefix; ``None`` for requests about the bucket.
            **arguments: More of the method's arguments.

        Raises:
            RefusedError: A condition did not hold.
            StorageError: It failed for good.
        """
        if key is not None:
            arguments["Key"] = join_key(self._prefix, key)

        def action(client: S3Client) -> Mapping[str, Any]:
            answer: Mapping[str, Any] = getattr(client, operation)(Bucket=self._bucket, **arguments)
            return answer

        return self.run(operation, key, action)

    def run(self, operation: str, key: str | None, action: Callable[[S3Client], T]) -> T:
        """Run ``action`` with retries; see :meth:`call`."""
        attempts = 0

        def attempt(number: int) -> T:
            nonlocal attempts
            attempts = number + 1
            return action(self._client())

        def transient(error: Exception) -> bool:
            if is_expired(error) and attempts == 1:
                self._forget_client()  # credentials on disk may have been renewed
                return True
            if operation == "complete_multipart_upload" and is_write_conflict(error):
                return False  # the whole upload has to be done again
            return is_transient(error)

        try:
            return self._options.retries.run(attempt, transient)
        except self._failures as error:
            raise self._translated(error, operation, key or "", attempts) from error

    def _translated(
        self, error: Exception, operation: str, key: str, attempts: int
    ) -> StorageError:
        uri = "s3://" + join_key(self._bucket, self._prefix)
        failure = explain(error, operation, join_key(uri, key), attempts)
        done_before = attempts > 1 and code_of(error) == "NoSuchUpload"
        if is_precondition_failure(error) or done_before:
            return RefusedError(str(failure), retried=attempts > 1)
        return not_found(uri, key) if isinstance(failure, NotFoundError) else failure

    def _client(self) -> S3Client:
        with self._lock:
            if self._cached_client is None:
                self._cached_client = self._new_client()
            return self._cached_client

    def _forget_client(self) -> None:
        with self._lock:
            self._cached_client = None

    def _new_client(self) -> S3Client:
        options = self._options
        custom = options.endpoint_url or any(os.environ.get(name) for name in _ENDPOINT_VARIABLES)
        config = self._config(
            connect_timeout=options.connect_timeout_s,
            read_timeout=options.read_timeout_s,
            retries={"total_max_attempts": 1},
            max_pool_connections=4 * options.threads,
            # Every upload carries our own SHA-256; other services choke on newer defaults.
            request_checksum_calculation="when_required",
            s3={"addressing_style": "path" if custom else "auto"},
            user_agent_extra="roboyard",
        )
        # A new session reads the credentials anew; the service's description is kept.
        session = require("botocore.session", "aws").Session()
        session.register_component("data_loader", _descriptions())
        client: S3Client = self._boto3.session.Session(botocore_session=session).client(
            "s3", endpoint_url=options.endpoint_url, region_name=options.region, config=config
        )
        return client


@functools.cache
def _descriptions() -> object:
    """Return botocore's reader of service descriptions, which takes a quarter second to fill."""
    return require("botocore.session", "aws").Session().get_component("data_loader")
