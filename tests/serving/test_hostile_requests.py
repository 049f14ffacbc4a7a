"""What strangers may send: refused with one clear answer, never with a 5xx, and soon."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
from onnx_policies import linear
from server_process import ServerProcess

from roboyard.serving import Client
from roboyard.serving.http.tensors import save

Start = Callable[..., ServerProcess]
ACT = "POST /v1/policies/cartpole/act HTTP/1.1\r\n"
UPGRADE = (
    "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
BINARY = "application/x-safetensors"


def line_to(server: ServerProcess, source: str = "127.0.0.1") -> socket.socket:
    port = urlsplit(server.address).port
    return socket.create_connection(("127.0.0.1", port), 30, source_address=(source, 0))  # type: ignore[arg-type]


def status_of(server: ServerProcess, request: bytes) -> int:
    """Send raw bytes; return the status of the first answer, 0 if the server just hung up."""
    with line_to(server) as line:
        try:
            line.sendall(request)
            answer = line.recv(65536)
        except ConnectionError:
            return 0
    return int(answer.split()[1]) if answer else 0


def post(body: bytes, headers: str = "host: localhost\r\n", path: str = "cartpole") -> bytes:
    head = f"POST /v1/policies/{path}/act HTTP/1.1\r\n{headers}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def act_status(server: ServerProcess, body: bytes, kind: str = "application/json") -> int:
    return status_of(server, post(body, f"host: localhost\r\ncontent-type: {kind}\r\n"))


# Headers


def test_headers_without_end_are_refused_before_they_take_memory(server: ServerProcess) -> None:
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    for piece in (b"x-a: b\r\n" * 8192, b"x" * 65536):
        with line_to(server) as line:
            line.sendall(f"{ACT}host: a\r\nx-long: ".encode())
            with pytest.raises(ConnectionError):
                for _ in range(2000):  # 128 MB, if nobody hangs up.
                    line.sendall(piece)
    assert process.memory_info().rss - before < 8e6


@pytest.mark.parametrize(
    "head",
    [
        "x-a: b\r\n" * 150,
        f"x-long: {'x' * 20_000}\r\n",
        f"{UPGRADE}x-long: {'x' * 9_000}\r\n",
        "transfer-encoding: chunked\r\n\r\n0\r\n" + "x-t: y\r\n" * 150,
    ],
)
def test_too_many_or_too_long_headers_are_refused(server: ServerProcess, head: str) -> None:
    request = f"{ACT}host: localhost\r\n{head}\r\n".encode()
    if "websocket" in head:
        request = request.replace(b"POST /v1/policies/cartpole/act", b"GET /v1/policies/x/session")
    assert status_of(server, request) in (0, 400, 431)


def test_requests_far_in_advance_are_not_kept(server: ServerProcess) -> None:
    with line_to(server) as line, pytest.raises(ConnectionError):
        line.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n" * 4000)
        while line.recv(65536):
            pass
        raise ConnectionError


# Host and Origin


@pytest.mark.parametrize("host", ["rebound.example", "rebound.example:8080", "[", "a@127.0.0.1"])
def test_only_own_names_are_answered(server: ServerProcess, host: str) -> None:
    assert status_of(server, post(b'{"observation": [0, 0]}', f"host: {host}\r\n")) == 421
    request = f"GET /v1/policies/cartpole/session HTTP/1.1\r\nhost: {host}\r\n{UPGRADE}\r\n"
    assert status_of(server, request.encode()) == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:80", "LOCALHOST", "10.0.0.1"])
def test_loopback_names_and_addresses_are_answered(server: ServerProcess, host: str) -> None:
    assert status_of(server, post(b'{"observation": [0, 0]}', f"host: {host}\r\n")) == 200


def test_more_names_can_be_allowed(start: Start, policies: Path) -> None:
    server = start(
        policies / "cartpole.onnx", "--allowed-host", "robots.example", "--allowed-host", "*.lan"
    )
    good = b'{"observation": [0, 0]}'
    for host, expected in (
        ("robots.example:1", 200), ("a.lan", 200), ("lan", 421), ("other.example", 421)
    ):  # fmt: skip
        assert status_of(server, post(good, f"host: {host}\r\n")) == expected, host


@pytest.mark.parametrize(
    "headers",
    [
        "origin: http://other.example\r\n",
        "origin: null\r\n",
        "origin: http://[\r\n",
        "origin: http://localhost:1\r\n",
        "sec-fetch-site: cross-site\r\n",
    ],
)
def test_pages_of_other_origins_cannot_act(server: ServerProcess, headers: str) -> None:
    body = b'{"observation": [0, 0]}'
    assert status_of(server, post(body, f"host: localhost:2\r\n{headers}")) == 403
    request = f"GET /v1/policies/cartpole/session HTTP/1.1\r\nhost: localhost:2\r\n{headers}"
    assert status_of(server, f"{request}{UPGRADE}\r\n".encode()) == 403


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", 200),  # Programs that name no type send JSON.
        ("origin: http://other.example\r\n", 403),
        ("origin: null\r\n", 403),
        ("sec-fetch-site: cross-site\r\n", 403),
    ],
)
def test_json_without_a_content_type_acts_unless_a_page_of_another_origin_sends_it(
    server: ServerProcess, more: str, expected: int
) -> None:
    assert (
        status_of(server, post(b'{"observation": [0, 0]}', f"host: localhost\r\n{more}"))
        == expected
    )


def test_a_page_of_the_same_origin_can(server: ServerProcess) -> None:
    headers = "host: localhost:2\r\norigin: http://localhost:2\r\n"
    assert status_of(server, post(b'{"observation": [0, 0]}', headers)) == 200


def test_two_hosts_or_none_are_refused(server: ServerProcess) -> None:
    body = b'{"observation": [0, 0]}'
    assert status_of(server, post(body, "host: localhost\r\nhost: rebound.example\r\n")) == 400
    assert status_of(server, post(body, "")) == 400


# Bodies


@pytest.mark.parametrize(
    "body",
    [
        b'{"observation": [0, 0], "id": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"observation": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"observation": [0, 0], "id": NaN}',
        b'{"observation": [0, 0], "id": 1e999}',
        b'{"observation": [0, 0], "id": {"a": [-Infinity]}}',
        b'{"observation": [0, 0], "id": "' + b"x" * 2000 + b'"}',
        b'{"observation": [0, 0], "observation": [1, 1]}',
        b'{"observation": [0, 0], "id": {"a": 1, "a": 2}}',
        '{"observation": [true, 0]}'.encode("utf-16"),
        '{"observation": [true, 0]}'.encode("utf-16-be"),
        '{"observation": [true, 0]}'.encode("utf-32"),
        b'{"observation": [0.0, 1e39]}',
        b'{"observation": [0, 0], "seed": true}',
    ],
    ids=range(13),
)
def test_odd_json_is_refused(server: ServerProcess, body: bytes) -> None:
    assert act_status(server, body) == 422


def test_truth_values_are_no_numbers_in_any_form(server: ServerProcess) -> None:
    flags = np.array([True, False])
    assert act_status(server, save({"observation": flags}), BINARY) == 422
    state = {"observation": np.zeros(1), "state.0": np.zeros((1, 1, 1), bool)}
    headers = f"host: localhost\r\ncontent-type: {BINARY}\r\n"
    assert status_of(server, post(save(state), headers, "counter")) == 422
    body = b'{"observation": [0], "state": [[[true]]]}'
    assert status_of(server, post(body, "host: localhost\r\n", "counter")) == 422


def test_an_array_that_is_named_twice_is_refused(server: ServerProcess) -> None:
    blob = save({"observation": np.zeros(2, np.float32)})
    size = int.from_bytes(blob[:8], "little")
    head = blob[8 : 8 + size].strip()
    doubled = head[:-1] + b"," + head[1:]
    body = len(doubled).to_bytes(8, "little") + doubled + blob[8 + size :]
    assert act_status(server, body, BINARY) == 422


def test_numbers_that_overflow_in_the_network_are_the_clients_fault(server: ServerProcess) -> None:
    headers = "host: localhost\r\n"
    body = b'{"observation": [3.4e38], "state": [[[3.4e38]]]}'
    assert status_of(server, post(body, headers, "counter")) == 422
    with Client(server.address) as client:
        assert client.act("counter", np.ones(1)).actions.item() == 1.0


def test_large_json_is_answered_as_small_json_is(server: ServerProcess) -> None:
    rows = np.random.default_rng(0).uniform(-1, 1, (1000, 2))
    pad = " " * 60_000
    large = json.dumps({"observation": rows.tolist(), "id": {"a": [1]}, "seed": 3}) + pad
    small = json.dumps({"observation": rows[:5].tolist(), "id": {"a": [1]}, "seed": 3})
    answers = []
    for body in (large, small):
        with line_to(server) as line:
            line.sendall(post(body.encode(), "host: localhost\r\nconnection: close\r\n"))
            content = b"".join(iter(lambda line=line: line.recv(65536), b""))  # type: ignore[misc]
        answers.append(json.loads(content.partition(b"\r\n\r\n")[2]))
    assert answers[0]["id"] == {"a": [1]}
    assert answers[0]["actions"][:5] == answers[1]["actions"]
    for odd in (b'{"observation": "x"', b'{"observation": [[1, 2], [3]]', b'{"observation": {}'):
        assert act_status(server, odd + b"}" + b" " * 60_000) == 422


def test_no_request_was_answered_with_a_5xx(server: ServerProcess) -> None:
    with line_to(server) as line:
        line.sendall(b"GET /metrics HTTP/1.0\r\nhost: localhost\r\n\r\n")
        text = b"".join(iter(lambda: line.recv(65536), b"")).decode()
    assert 'status="4' in text
    assert 'status="5' not in text
    assert not server.log("request failed")
    assert "Traceback" not in server.text


# Time and number


@pytest.fixture(scope="module")
def strict(policies: Path) -> Iterator[ServerProcess]:
    """Return a server with a short patience and few places."""
    program = (
        "import sys\n"
        "from roboyard.serving import serve, Settings\n"
        "settings = Settings(port=0, header_timeout_s=0.5, body_timeout_s=0.5, "
        "max_connections=20, max_connections_per_address=10)\n"
        "serve([sys.argv[1]], settings, on_listening=lambda a: print(a, flush=True))\n"
    )
    with ServerProcess([str(policies / "cartpole.onnx")], program=program) as running:
        yield running


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nhost: a\r\nx-a"])
def test_unfinished_headers_time_out(strict: ServerProcess, sent: bytes) -> None:
    with line_to(strict) as line:
        line.sendall(sent)
        assert line.recv(65536).startswith(b"HTTP/1.1 408 ")
        assert line.recv(1) == b""


def test_a_request_that_is_left_unfinished_after_another_times_out(strict: ServerProcess) -> None:
    with line_to(strict) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nGET /healthz HTTP/1.1\r\nx")
        content = b"".join(iter(lambda: line.recv(65536), b""))
    assert content.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in content


def test_health_checks_find_a_place_among_silent_clients(strict: ServerProcess) -> None:
    lines = [line_to(strict, f"127.0.1.{number % 5}") for number in range(300)]
    try:
        for _ in range(5):
            assert status_of(strict, b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n") == 200
    finally:
        for line in lines:
            line.close()


def test_who_was_let_in_keeps_the_place(strict: ServerProcess) -> None:
    with Client(strict.address) as client, client.open_session("cartpole") as session:
        lines = [line_to(strict) for _ in range(50)]
        session.act(np.zeros(2))
        for line in lines:
            line.close()


def test_a_forwarded_address_counts_only_from_a_proxy(start: Start, policies: Path) -> None:
    for options, expected in (((), 429), (("--proxy", "127.0.0.0/8"), 200)):
        server = start(policies / "cartpole.onnx", "--rate-limit", "1", *options)
        statuses = [
            status_of(
                server,
                post(
                    b'{"observation": [0, 0]}',
                    f"host: localhost\r\nx-forwarded-for: 192.0.2.{number}\r\n",
                ),
            )
            for number in range(4)
        ]
        assert statuses[-1] == expected


# Bundles


def test_a_pipe_in_a_watched_folder_is_left_alone(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "watched"
    linear(folder / "cartpole.onnx")
    os.mkfifo(folder / "pipe.zip")
    (folder / "walker").mkdir()
    linear(folder / "walker" / "a.onnx")
    os.mkfifo(folder / "walker" / "split.json")
    server = start("--watch", folder, "--watch-interval", "0.05")
    with Client(server.address) as client:
        client.act("cartpole", np.zeros(2))
    refused = {str(line["key"]): line["reason"] for line in server.log("bundle refused")}
    assert refused == {
        "pipe.zip": "it is not a regular file.",
        "walker/split.json": "it is not a regular file.",
    }


def test_a_bundle_that_takes_too_long_or_too_much_is_refused(tmp_path: Path) -> None:
    from roboyard.errors import PolicyError
    from roboyard.serving.http.telemetry import Telemetry
    from roboyard.serving.model.loading import Loader
    from roboyard.serving.settings import Settings

    linear(tmp_path / "slow.onnx", layers=40)
    for settings in (
        Settings(open_timeout_s=0.01),
        Settings(open_memory_bytes=2**20),
    ):
        loader = Loader(settings, Telemetry())
        try:
            with pytest.raises(PolicyError, match=r"slow\.onnx"):
                loader.fetch(str(tmp_path), "slow.onnx", "slow", is_strange=True)
        finally:
            loader.close()


# The end


def whole_answer(line: socket.socket) -> bytes:
    content = b""
    while not content.endswith(b"}"):
        content += line.recv(65536)
    return content


def test_keep_alive_connections_are_told_to_close_at_sigterm(start: Start, policies: Path) -> None:
    server = start(policies / "cartpole.onnx")
    request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with line_to(server) as busy, line_to(server) as idle:
        for line in (busy, idle):
            line.sendall(request)
            assert b"connection: close" not in whole_answer(line)
        server.terminate()
        while not server.log("draining"):
            pass
        busy.sendall(request)
        assert b"connection: close" in whole_answer(busy)
        assert busy.recv(1) == b"", "it is closed, not reset"
        assert idle.recv(1) == b"", "it is closed, not reset"
        assert server.wait() == 0
