"""Policies in a bucket are served, and reloaded when they are replaced there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx_policies import linear
from server_process import ServerProcess

from roboyard.serving import Client
from roboyard.storage import open_store
from roboyard.testing.faulty_s3 import Fault, FaultyS3

Start = Callable[..., ServerProcess]
URI = "s3://bucket/policies"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with FaultyS3("bucket") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def action(client: Client) -> float:
    return round(float(client.act("walker", np.zeros(2, np.float32)).actions.item()), 3)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "never happened"
        time.sleep(0.02)


def test_a_bucket_is_watched_and_an_outage_of_it_changes_nothing(
    start: Start, bucket: FaultyS3, tmp_path: Path
) -> None:
    store = open_store(URI)

    def publish(bias: float) -> None:
        store.put("walker.onnx", linear(tmp_path / "walker.onnx", bias=bias).read_bytes())

    publish(0.1)
    server = start("--watch", URI, "--watch-interval", "0.05")
    with Client(server.address) as client:
        assert action(client) == 0.1
        publish(0.2)
        until(lambda: action(client) == 0.2)
        store.put("walker.onnx", b"nonsense")
        until(lambda: bool(server.log("bundle refused")))
        assert action(client) == 0.2
        bucket.fail(Fault(status=403, code="AccessDenied"), times=10_000)
        until(lambda: bool(server.log("watching failed")))
        assert action(client) == 0.2
        bucket.heal()
        publish(0.3)
        until(lambda: action(client) == 0.3)
    (said,) = server.log("bundle refused")
    assert said["place"] == URI
    assert said["key"] == "walker.onnx"
