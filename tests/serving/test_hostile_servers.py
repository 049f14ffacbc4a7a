"""A client meets a server that means harm: it neither waits nor grows without end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from roboyard.errors import BridgeError, RoboyardError
from roboyard.serving import Client

Serve = Callable[[bytes, bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server, which sends a beginning, then a piece for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def answer(beginning: bytes, piece: bytes) -> None:
        while not stop.is_set():
            try:
                line, _ = listener.accept()
            except OSError:
                return
            with line:
                try:
                    line.recv(65536)
                    line.sendall(beginning)
                    while not stop.wait(0.05 if len(piece) < 10 else 0.0):
                        line.sendall(piece or b"")
                        if not piece:
                            break
                except OSError:
                    pass

    def begin(beginning: bytes, piece: bytes) -> str:
        threads.append(threading.Thread(target=answer, args=(beginning, piece)))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield begin
    stop.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nx-a: ", b"x"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", b"x"),
        (b"HTTP/1.1 101 Switching Protocols\r\nx-a: ", b"x"),
    ],
)
def test_drops_of_an_answer_do_not_hold_a_client_beyond_its_time(
    serve: Serve, beginning: bytes, piece: bytes
) -> None:
    with Client(serve(beginning, piece), timeout_s=0.5, retries=0) as client:
        start = time.monotonic()
        with pytest.raises(BridgeError):
            client.act("cartpole", np.zeros(2))
        with pytest.raises(BridgeError):
            client.open_session("cartpole")
        assert not client.is_ready()
        assert time.monotonic() - start < 20, "it waited for the whole answer"


def test_an_answer_without_end_is_cut(serve: Serve) -> None:
    url = serve(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", b"x" * 2**20)
    with (
        Client(url, timeout_s=60, retries=0) as client,
        pytest.raises(BridgeError, match="longer than"),
    ):
        client.act("cartpole", np.zeros(2))


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
        b"HTTP/1.1 422 No\r\ncontent-length: 4000\r\n\r\n" + b"[" * 4000,
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_odd_answers_are_errors_of_ours(serve: Serve, beginning: bytes) -> None:
    with Client(serve(beginning, b""), timeout_s=2, retries=0) as client:
        for ask in (
            lambda: client.act("cartpole", np.zeros(2)),
            client.policies,
            lambda: client.open_session("cartpole"),
        ):
            with pytest.raises(RoboyardError):
                ask()
