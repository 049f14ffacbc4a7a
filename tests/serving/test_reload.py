"""Versions, shares, hot reload and the end of a server, all under load."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx_policies import counting, linear
from server_process import ServerProcess

from roboyard.errors import BridgeError
from roboyard.serving import Client

Start = Callable[..., ServerProcess]
ZERO = np.zeros(2)


def publish(path: Path, bias: float, name: str = "cartpole") -> None:
    """Write a new version as a careful person does: aside, then renamed."""
    linear(path.parent.parent / "aside.onnx", bias=bias, name=name)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(path.parent.parent / "aside.onnx", path)


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Poll until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        threading.Event().wait(0.02)


def action(client: Client, **options: str) -> float:
    return round(float(client.act("cartpole", ZERO, **options).actions.item()), 3)


def test_shares_of_two_versions_hold_exactly_and_sessions_stick(
    start: Start, tmp_path: Path
) -> None:
    old, new = linear(tmp_path / "old.onnx", bias=0.1), linear(tmp_path / "new.onnx", bias=0.2)
    server = start(f"cartpole={old}", f"cartpole={new}", "--split", "cartpole=90,10")
    with Client(server.address) as client:
        assert Counter(action(client) for _ in range(200)) == {0.1: 180, 0.2: 20}
        for key in ("robot-1", "robot-2", "robot-3"):
            assert len({action(client, session=key) for _ in range(10)}) == 1
        by_key = Counter(action(client, session=f"robot-{k}") for k in range(300))
        assert 10 <= by_key[0.2] <= 60
        versions = client.policies()[0]["versions"]
        assert [version["share"] for version in versions] == [0.9, 0.1]
        assert action(client, version=versions[1]["version"]) == 0.2


def test_new_versions_arrive_without_a_failed_request(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "watched"
    publish(folder / "cartpole.onnx", 0.0)
    server = start("--watch", folder, "--watch-interval", "0.05")
    stop = threading.Event()
    seen: list[float] = []

    def load() -> None:
        with Client(server.address, retries=0) as client:
            while not stop.is_set():
                seen.append(action(client))

    def control() -> None:
        with Client(server.address) as client, client.open_session("cartpole") as session:
            while not stop.is_set():
                seen.append(round(float(session.act(ZERO).actions.item()), 3))

    with ThreadPoolExecutor(3) as pool, Client(server.address) as client:
        try:
            working = [pool.submit(load), pool.submit(load), pool.submit(control)]
            for step in range(1, 9):
                publish(folder / "cartpole.onnx", step / 100)
                until(lambda step=step: action(client) == step / 100)  # type: ignore[misc]
        finally:
            stop.set()
        for work in working:
            work.result()  # Raises what failed.
    assert set(seen) >= {step / 100 for step in range(1, 8)}
    assert len(server.log("policy changed")) == 9


def test_a_damaged_bundle_is_reported_and_the_old_one_stays(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "watched"
    publish(folder / "cartpole.onnx", 0.1)
    server = start("--watch", folder, "--watch-interval", "0.05")
    (folder / "cartpole.onnx").write_bytes(b"nonsense")
    until(lambda: bool(server.log("bundle refused")))
    with Client(server.address) as client:
        assert action(client) == 0.1
        publish(folder / "cartpole.onnx", 0.2)
        until(lambda: action(client) == 0.2)
    assert len(server.log("bundle refused")) == 1, "it is said once"


def test_a_folder_of_versions_follows_its_split_file(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "watched"
    publish(folder / "cartpole" / "a.onnx", 0.1)
    publish(folder / "cartpole" / "b.onnx", 0.2)
    server = start("--watch", folder, "--watch-interval", "0.05")
    with Client(server.address) as client:
        assert {action(client) for _ in range(10)} == {0.2}, "the last one gets all"
        (folder / "cartpole" / "split.json").write_text('{"a.onnx": 1, "b.onnx": 1}')
        until(lambda: {action(client) for _ in range(4)} == {0.1, 0.2})
        (folder / "cartpole" / "split.json").write_text('{"c.onnx": 1}')
        until(lambda: bool(server.log("bundle refused")))
        assert {action(client) for _ in range(4)} == {0.1, 0.2}
        shutil.rmtree(folder / "cartpole")
        until(lambda: not client.policies())
        assert not client.is_ready()


def test_a_recurrent_session_ends_its_episode_on_the_version_it_began_with(
    start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "watched"
    counting(folder / "counter.onnx")
    server = start("--watch", folder, "--watch-interval", "0.05")
    with Client(server.address) as client, client.open_session("counter") as session:
        old = session.act(np.ones(1)).version
        counting(tmp_path / "aside.onnx", gain=10.0)
        os.replace(tmp_path / "aside.onnx", folder / "counter.onnx")
        until(lambda: client.act("counter", np.ones(1)).version != old)
        going_on = session.act(np.ones(1))
        assert (going_on.version, going_on.actions.item()) == (old, 2.0)
        anew = session.act(np.ones(1), episode_start=True)
        assert anew.version != old
        assert anew.actions.item() == 10.0


def test_requests_under_way_are_answered_after_sigterm(start: Start, tmp_path: Path) -> None:
    slow = linear(tmp_path / "cartpole.onnx", bias=0.1, layers=40)
    server = start(slow, "--drain-delay", "0.3", "--max-batch", "1")
    begun = threading.Event()

    def ask(_: int) -> float:
        with Client(server.address, retries=0, timeout_s=30) as client:
            begun.set()
            return round(float(client.act("cartpole", np.zeros((500, 2))).actions[0, 0]), 3)

    with Client(server.address) as client, ThreadPoolExecutor(8) as pool:
        session = client.open_session("cartpole")
        session.act(ZERO)
        answers = pool.map(ask, range(8))
        begun.wait()
        until(lambda: "roboyard_requests_in_flight 1.0" not in metrics(server))
        server.terminate()
        until(lambda: bool(server.log("draining")))
        assert not client.is_ready(), "load balancers are told first"
        assert list(answers) == [0.1] * 8
        assert server.wait() == 0
        with pytest.raises(BridgeError):
            session.act(ZERO)
    assert server.log("stopped")


def metrics(server: ServerProcess) -> str:
    import urllib.request

    with urllib.request.urlopen(server.address + "/metrics") as answer:
        return str(answer.read().decode())


def test_an_idle_server_ends_at_once_and_says_goodbye_to_sessions(
    start: Start, policies: Path
) -> None:
    server = start(policies / "cartpole.onnx")
    with Client(server.address) as client, client.open_session("cartpole") as session:
        session.act(ZERO)
        server.terminate()
        assert server.wait() == 0
        with pytest.raises(BridgeError, match=r"lost|reach"):
            session.act(ZERO)
    assert json.loads(server.text.splitlines()[-1])["message"] == "stopped"
