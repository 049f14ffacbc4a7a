"""An S3 server for all tests of this folder, and quick stores in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from roboyard.storage.retry import Retries
from roboyard.storage.s3.client import S3Options
from roboyard.storage.s3.store import S3Store
from roboyard.testing.faulty_s3 import FaultyS3


@pytest.fixture(scope="session")
def s3_server() -> Iterator[FaultyS3]:
    with FaultyS3("bucket") as server:
        yield server


@pytest.fixture
def s3(s3_server: FaultyS3, monkeypatch: pytest.MonkeyPatch) -> FaultyS3:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    s3_server.reset()
    return s3_server


@pytest.fixture
def make_s3_store(s3: FaultyS3) -> Callable[..., S3Store]:
    def make(prefix: str = "runs", **changes: object) -> S3Store:
        options = {
            "endpoint_url": s3.url,
            "retries": Retries(attempts=4, backoff_s=0.001),
            "part_bytes": 5 << 20,
            "read_timeout_s": 5.0,
        }
        return S3Store("bucket", prefix, S3Options(**(options | changes)))

    return make
