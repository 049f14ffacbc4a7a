"""An experiment on several real Ray nodes that go away, and a driver that dies."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tuning_studies import BASE, Study, weights

PROGRAM = [sys.executable, "-c", "from roboyard.cli import main; main()"]
STEPS = 6400
SEEDS = range(8)
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 * 2**20}
    found = Cluster(initialize_head=True, head_node_args=head)
    yield found
    found.shutdown()


class Driver:
    """A driver process and what it has said so far."""

    def __init__(self, source: Path, address: str, log: Path) -> None:
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [*PROGRAM, "experiment", "run", str(source), "--address", address],
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def until(self, says: Callable[[str], bool], what: str) -> None:
        deadline = time.monotonic() + 240
        while not says(self.log.read_text()):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"no {what}: {self.log.read_text()}"
            time.sleep(0.1)


def drain(address: str, node: str) -> None:
    ray = Path(sys.executable).with_name("ray")
    why = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"]
    subprocess.run(
        [
            ray,
            "drain-node",
            "--address",
            address,
            "--node-id",
            node,
            *why,
            "--deadline-remaining-seconds",
            "120",
        ],
        check=True,
        capture_output=True,
    )


def checkpoints(folder: Path) -> set[str]:
    return {path.parts[-4] for path in folder.glob("*/checkpoints/*/MANIFEST.json")}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_eight_runs_survive_a_drained_node_a_killed_node_and_a_killed_driver(
    study: Study,
    tmp_path: Path,
    cluster: object,
) -> None:
    (tmp_path / "base.yaml").write_text(BASE.replace("total_steps: 1280", f"total_steps: {STEPS}"))
    source, folder = study("seeds: {count: 8}"), tmp_path / "runs" / "study"
    drained, doomed = (cluster.add_node(**NODE) for _ in range(2))  # type: ignore[attr-defined]
    address = cluster.address  # type: ignore[attr-defined]

    first = Driver(source, address, tmp_path / "first.log")
    first.until(lambda _: len(checkpoints(folder)) >= 2, "checkpoints on both nodes")
    drain(address, drained.node_id)
    first.until(lambda text: "interrupted" in text, "run that leaves the drained node")
    cluster.remove_node(doomed, allow_graceful=False)  # type: ignore[attr-defined]
    first.until(lambda text: text.count("interrupted") >= 2, "run that lost its node")
    cluster.add_node(**NODE)  # type: ignore[attr-defined]
    cluster.add_node(**NODE)  # type: ignore[attr-defined]
    first.until(lambda text: text.count("finished at step") >= 3, "three finished runs")
    first.process.kill()
    first.process.wait()
    done = set(weights(tmp_path / "runs", "study"))
    source.unlink()

    second = Driver(folder, address, tmp_path / "second.log")
    assert second.process.wait(timeout=400) == 0, second.log.read_text()
    text = second.log.read_text()
    assert "8 of 8 runs finished" in text and "errors" not in text.replace("errors 0", "")
    for run in done:
        assert not re.search(rf"{run}: running", text), "a finished run is left alone"
    for run in folder.glob("default-s*"):
        log = (run / "train.log").read_text()
        assert log.count(f"finished at step {STEPS}") == 1, f"{run.name} ended more than once"
    assert weights(tmp_path / "runs", "study") == by_hand(tmp_path)


def by_hand(folder: Path) -> dict[str, str]:
    """Train the same runs with the ordinary command, undisturbed."""

    def train(seed: int) -> None:
        settings = [f"seed={seed}", "name=study", "store=hand"]
        subprocess.run(
            [*PROGRAM, "train", "base.yaml", "--quiet", "--run-id", f"default-s{seed}"]
            + [part for setting in settings for part in ("--set", setting)],
            check=True,
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(train, SEEDS))
    return weights(folder / "hand", "study")
