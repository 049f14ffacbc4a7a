"""Requests that come together go through the network together, within a bound of time."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx_policies import linear
from server_process import ServerProcess

from roboyard.errors import PolicyError
from roboyard.serving import Client

Start = Callable[..., ServerProcess]


def runs_and_rows(server: ServerProcess) -> tuple[int, int]:
    with urllib.request.urlopen(server.address + "/metrics") as answer:
        lines = answer.read().decode().splitlines()
    found = dict(line.split() for line in lines if line.startswith("roboyard_batch_rows_"))
    count, rows = (float(found[f"roboyard_batch_rows_{name}"]) for name in ("count", "sum"))
    return int(count), int(rows)


def ask(server: ServerProcess, observation: np.ndarray) -> np.ndarray:
    with Client(server.address, timeout_s=60) as client:
        return client.act("cartpole", observation).actions


def test_a_full_batch_does_not_wait_and_a_lone_request_only_for_the_bound(
    start: Start, policies: Path
) -> None:
    server = start(policies / "cartpole.onnx", "--max-batch", "4", "--max-wait-ms", "20000")
    rows = [np.full(2, number / 10, np.float32) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        actions = list(pool.map(lambda row: ask(server, row).item(), rows))
    assert runs_and_rows(server) == (1, 4)
    np.testing.assert_allclose(actions, [0.0, 0.2, 0.4, 0.6], atol=1e-6)
    short = start(policies / "cartpole.onnx", "--max-wait-ms", "50")
    assert ask(short, rows[1]).item() == pytest.approx(0.2)
    assert runs_and_rows(short) == (1, 1)


def test_one_bad_request_of_a_batch_harms_no_other(start: Start, policies: Path) -> None:
    server = start(policies / "cartpole.onnx", "--max-batch", "3", "--max-wait-ms", "20000")

    def outcome(row: np.ndarray) -> object:
        try:
            return round(float(ask(server, row).item()), 3)
        except PolicyError as error:
            return "cart position" in str(error)

    rows = [np.array([0.1, 0.1]), np.array([9.0, 0.0]), np.array([0.2, 0.2])]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(outcome, rows)) == [0.2, True, 0.4]


def test_a_network_that_is_slow_leaves_the_server_free_and_fills_its_batches(
    start: Start, tmp_path: Path
) -> None:
    slow = linear(tmp_path / "cartpole.onnx", layers=40)
    server = start(slow)
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(ask, server, np.full(2, 0.1)) for _ in range(60)]
        with Client(server.address) as client:
            while not all(one.done() for one in asked):
                assert client.is_ready()
        assert {round(one.result().item(), 3) for one in asked} == {0.2}
    runs, rows = runs_and_rows(server)
    assert rows == 60
    assert runs < 60
