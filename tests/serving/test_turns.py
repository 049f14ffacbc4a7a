"""What one client sends at once is read in turn with the others, and nothing of it is lost."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from server_process import ServerProcess

from roboyard.serving.http.tensors import load, save

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
UPGRADE = (
    "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A


def frame(first: int, payload: bytes = b"") -> bytes:
    """Return a frame with a mask of zeros, which leaves the payload as it is."""
    size = len(payload)
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 65536:
        head = bytes([first, 0xFE]) + struct.pack(">H", size)
    else:
        head = bytes([first, 0xFF]) + struct.pack(">Q", size)
    return head + bytes(4) + payload


class Session:
    """A session over a bare socket."""

    def __init__(self, server: ServerProcess, policy: str = "cartpole", more: str = "") -> None:
        parts = urlsplit(server.address)
        self.line = socket.create_connection((parts.hostname, parts.port), 30)
        head = f"GET /v1/policies/{policy}/session HTTP/1.1\r\nhost: localhost\r\n{UPGRADE}{more}"
        self.line.sendall(f"{head}\r\n".encode())
        self.stream = self.line.makefile("rb")
        while self.stream.readline().strip():
            pass
        assert self.read()[0] == TEXT

    def read(self) -> tuple[int, bytes]:
        first, size = self.stream.read(2)
        if size >= 126:
            form = ">H" if size == 126 else ">Q"
            size = struct.unpack(form, self.stream.read(struct.calcsize(form)))[0]
        return first, self.stream.read(size)

    def closing_code(self) -> int:
        """Read until the server closes; return why."""
        while True:
            first, payload = self.read()
            if first == CLOSE:
                return int.from_bytes(payload[:2], "big")

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.stream.close()
        self.line.close()


def test_messages_that_come_all_at_once_are_answered_in_their_order(server: ServerProcess) -> None:
    bodies = [json.dumps({"observation": [0, 0], "id": n}).encode() for n in range(2000)]
    with Session(server) as session:
        session.line.sendall(b"".join(frame(TEXT, body) for body in bodies))
        answers = [json.loads(session.read()[1]) for _ in bodies]
    assert [answer["id"] for answer in answers] == list(range(2000))


def test_a_large_message_in_small_fragments_is_one_message(server: ServerProcess) -> None:
    rows = np.zeros((1000, 2), np.float32)
    body = save({"observation": rows})
    pieces = [body[at : at + 100] for at in range(0, len(body), 100)]
    sent = [frame(0x02, pieces[0]), *(frame(0x00, piece) for piece in pieces[1:-1])]
    with Session(server) as session:
        session.line.sendall(b"".join([*sent, frame(0x80, pieces[-1]), frame(BINARY, body)]))
        for _ in range(2):
            first, answer = session.read()
            assert first == BINARY and len(load(answer)["actions"]) == 1000


def test_long_headers_of_a_session_are_read_before_it_begins(server: ServerProcess) -> None:
    more = f"x-long: {'x' * 4000}\r\n"
    with Session(server, more=more) as session:
        session.line.sendall(frame(TEXT, b'{"observation": [0, 0]}'))
        assert "actions" in json.loads(session.read()[1])


def test_a_few_pings_are_answered_and_a_flood_ends_the_session(server: ServerProcess) -> None:
    with Session(server) as session:
        session.line.sendall(b"".join(frame(PING, bytes([n])) for n in range(5)))
        assert [session.read() for _ in range(5)] == [(PONG, bytes([n])) for n in range(5)]
    with Session(server) as session:
        session.line.sendall(frame(PING) * 5000)
        assert session.closing_code() == 1008


def test_a_message_of_endless_fragments_ends_its_session_only(server: ServerProcess) -> None:
    with Session(server) as honest, Session(server) as session:
        session.line.sendall(frame(0x02) + frame(0x00) * 20_000)
        for _ in range(20):
            honest.line.sendall(frame(TEXT, b'{"observation": [0, 0]}'))
            assert "actions" in json.loads(honest.read()[1])
        assert session.closing_code() == 1009


@pytest.mark.slow
def test_hostile_clients_get_no_5xx_and_cut_nobody_off() -> None:
    done = subprocess.run(
        [sys.executable, "hostile_clients.py", "--seconds", "2", "--silent", "300"],
        cwd=BENCHMARKS,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    for target in (
        "no status of 500 or more", "no missed health check", "no honest client was cut off"
    ):  # fmt: skip
        assert f"met: {target}" in done.stdout, done.stdout + done.stderr
