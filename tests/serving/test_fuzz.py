"""Whatever a client sends, the server neither fails nor grows."""

from __future__ import annotations

import http.client
import json
import random
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
from onnx_policies import linear
from server_process import ServerProcess

from roboyard.serving import Client
from roboyard.serving.http.tensors import save

JSON, BINARY = "application/json", "application/x-safetensors"
GOOD = save({"observation": np.zeros((1, 2), np.float32)})


def scalars(source: random.Random) -> object:
    return source.choice(
        [None, True, 0, -1, 1e308, 1e-300, 10**400, "", "x" * 50, "\ud800", float("nan"), 2**63]
    )


def value(source: random.Random, depth: int = 0) -> object:
    kind = source.random()
    if depth > 4 or kind < 0.4:
        return scalars(source)
    if kind < 0.7:
        return [value(source, depth + 1) for _ in range(source.randrange(4))]
    names = ["cart position", "pole angle", "camera", "speed", "observation", "é", ""]
    return {source.choice(names): value(source, depth + 1) for _ in range(source.randrange(4))}


def bodies(source: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield malformed and odd bodies without end."""
    keys = ["observation", "state", "episode_start", "seed", "id", "other"]
    while True:
        body = {key: value(source) for key in source.sample(keys, source.randrange(1, 5))}
        yield JSON, json.dumps(body).encode()
        damaged = bytearray(GOOD)
        for _ in range(source.randrange(1, 5)):
            damaged[source.randrange(len(damaged))] = source.randrange(256)
        yield BINARY, bytes(damaged)
        yield BINARY, GOOD[: source.randrange(len(GOOD))]
        yield source.choice([JSON, BINARY]), source.randbytes(source.randrange(200))
        header = {"observation": {"dtype": "F32", "shape": [2**40, 2], "data_offsets": [0, 8]}}
        text = json.dumps(header).encode()
        yield BINARY, struct.pack("<Q", len(text)) + text + bytes(8)
        for dtype in (np.float64, np.int64, np.uint8, np.bool_, np.float16):
            shape = tuple(source.randrange(3) for _ in range(source.randrange(4)))
            name = source.choice(["observation", "observation.speed", "observation.camera"])
            yield BINARY, save({name: np.zeros(shape, dtype), "seed": np.zeros((), dtype)})


PATHS = ["/v1/policies/cartpole/act", "/v1/policies/counter/act", "/v1/policies/looker/act"]


def test_nothing_that_is_sent_makes_the_server_fail(server: ServerProcess) -> None:
    source = random.Random(0)
    connection = http.client.HTTPConnection(urlsplit(server.address).netloc)
    statuses: Counter[int] = Counter()
    for _, (kind, body) in zip(range(1500), bodies(source), strict=False):
        connection.request("POST", source.choice(PATHS), body, {"content-type": kind})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status in (200, 422), (answer.status, body, content)
        statuses[answer.status] += 1
        if answer.status == 422:
            assert json.loads(content)["error"]["message"], body
    connection.close()
    assert statuses[422] > 1000
    with Client(server.address) as client:
        client.act("cartpole", np.zeros(2))


def test_no_message_to_a_session_makes_it_fail(server: ServerProcess) -> None:
    from websockets.sync.client import connect

    source = random.Random(1)
    address = server.address.replace("http", "ws") + "/v1/policies/counter/session"
    with connect(address) as line:
        line.recv()
        for _, (kind, body) in zip(range(700), bodies(source), strict=False):
            text = body.decode("utf-8", "ignore") if kind == JSON else body
            line.send(text)
            answer = line.recv()
            if isinstance(answer, str):
                content = json.loads(answer)
                assert content.get("error", {}).get("code") not in ("failed", "policy"), body
        line.send('{"observation": [1], "episode_start": true}')
        assert json.loads(line.recv())["actions"] == [1.0]


def test_broken_http_closes_the_connection_and_nothing_else(server: ServerProcess) -> None:
    import socket

    address = urlsplit(server.address)
    assert address.hostname and address.port
    source = random.Random(2)
    starts = [b"", b"POST /v1/policies/cartpole/act HTTP/1.1\r\nHost: a\r\nContent-Length: "]
    for _ in range(50):
        with socket.create_connection((address.hostname, address.port)) as line:
            line.sendall(source.choice(starts) + source.randbytes(100) + b"\r\n\r\n")
    with Client(server.address) as client:
        client.act("cartpole", np.zeros(2))
    assert not [line for line in server.log("request") if line["status"] == 500]


def soak(folder: Path, server: ServerProcess, seconds: float) -> Counter[int]:
    """Send good and malformed requests while the policy is replaced again and again."""
    stop = time.monotonic() + seconds
    statuses: Counter[int] = Counter()
    lock = threading.Lock()

    def send(seed: int) -> None:
        source = random.Random(seed)
        odd = bodies(source)
        connection = http.client.HTTPConnection(urlsplit(server.address).netloc)
        while time.monotonic() < stop:
            is_good = source.random() > 0.1
            kind, body = (BINARY, GOOD) if is_good else next(odd)
            connection.request("POST", PATHS[0], body, {"content-type": kind})
            answer = connection.getresponse()
            answer.read()
            with lock:
                statuses[answer.status] += 1
            assert answer.status == 200 if is_good else answer.status in (200, 422)
        connection.close()

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    version = 0
    while time.monotonic() < stop:
        version += 1
        linear(folder.parent / "aside.onnx", bias=version % 100 / 1000)
        (folder.parent / "aside.onnx").replace(folder / "cartpole.onnx")
        threading.Event().wait(0.25)
    for thread in threads:
        thread.join()
    return statuses


@pytest.mark.parametrize(
    "seconds", [6.0, pytest.param(120.0, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_memory_stays_flat_under_load_reloads_and_malformed_requests(
    start: object, tmp_path: Path, seconds: float
) -> None:
    folder = tmp_path / "watched"
    linear(folder / "cartpole.onnx")
    server = start("--watch", folder, "--watch-interval", "0.1")  # type: ignore[operator]
    process = psutil.Process(server.process.pid)
    soak(folder, server, seconds / 2)  # Until caches and pools are full.
    before = process.memory_info().rss
    statuses = soak(folder, server, seconds)
    grown = process.memory_info().rss - before
    assert set(statuses) == {200, 422}
    assert len(server.log("policy changed")) > seconds
    assert grown < 12e6, f"{grown / 1e6:.1f} MB more after {statuses.total()} requests"
