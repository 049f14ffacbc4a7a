"""The client rides out what passes, and says plainly what does not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from server_process import ServerProcess

from roboyard.errors import BridgeError, ConfigError
from roboyard.serving import Client

Start = Callable[..., ServerProcess]
ZERO = np.zeros(2, np.float32)


def port_of(server: ServerProcess) -> str:
    return str(urlsplit(server.address).port)


def test_a_client_outlives_a_server_that_is_killed_and_started_again(
    start: Start, policies: Path
) -> None:
    server = start(policies / "cartpole.onnx")
    with Client(server.address, timeout_s=60, retries=1000) as client:
        session = client.open_session("cartpole")
        session.act(ZERO)
        client.act("cartpole", ZERO)
        server.close()
        answers: list[float] = []
        asking = threading.Thread(
            target=lambda: answers.append(client.act("cartpole", ZERO).actions.item())
        )
        asking.start()  # Nobody listens yet.
        start(policies / "cartpole.onnx", "--port", port_of(server))
        asking.join(60)
        assert answers == [0.0]
        assert session.act(ZERO).actions.item() == 0.0, "without memory a session connects anew"
        session.close()


def test_a_session_whose_memory_is_lost_says_so_and_begins_anew(
    start: Start, policies: Path
) -> None:
    server = start(policies / "counter.onnx")
    with Client(server.address) as client, client.open_session("counter") as session:
        assert session.act(np.ones(1)).actions.item() == 1.0
        server.close()
        start(policies / "counter.onnx", "--port", port_of(server))
        with pytest.raises(BridgeError, match=r"memory of the episode is lost.*episode_start=True"):
            session.act(np.ones(1))
        with pytest.raises(BridgeError, match="memory of the episode is lost"):
            session.act(np.ones(1))
        assert session.act(np.ones(1), episode_start=True).actions.item() == 1.0
        assert session.act(np.ones(1)).actions.item() == 2.0


def test_a_client_waits_as_long_as_a_busy_server_asks_it_to(start: Start, policies: Path) -> None:
    server = start(policies / "cartpole.onnx", "--rate-limit", "2")
    with Client(server.address, timeout_s=30) as client:
        for _ in range(4):  # Two come at once; each of the others is refused with 429 first.
            client.act("cartpole", ZERO)


def test_nobody_there_is_an_error_in_time() -> None:
    with Client("http://127.0.0.1:9", timeout_s=0.3) as client:
        assert not client.is_ready()
        with pytest.raises(BridgeError, match=r"127\.0\.0\.1:9 did not answer in time: .*refused"):
            client.act("cartpole", ZERO)
        with pytest.raises(BridgeError, match=r"cannot reach http://127\.0\.0\.1:9"):
            client.open_session("cartpole")


def test_an_address_of_another_form_is_refused() -> None:
    for url in ("127.0.0.1:8080", "ftp://a", "http://"):
        with pytest.raises(ConfigError, match="is not an address such as http"):
            Client(url)
