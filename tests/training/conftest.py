"""An S3 server for the tests of runs in buckets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from roboyard.testing.faulty_s3 import FaultyS3


@pytest.fixture(scope="session")
def s3_server() -> Iterator[FaultyS3]:
    with FaultyS3("bucket") as server:
        yield server


@pytest.fixture
def s3(s3_server: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaultyS3:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ROBOYARD_CACHE", str(tmp_path / "cache"))
    s3_server.reset()
    return s3_server
