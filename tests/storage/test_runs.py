"""Runs are shown as they are, verified to the last byte, and pruned only when nobody drives."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from roboyard.errors import StorageError
from roboyard.runs.audit import prune_run, verify_run
from roboyard.runs.index import find_run, find_runs
from roboyard.storage.base import NotFoundError, Store
from roboyard.storage.leases.holder import Holder
from roboyard.storage.leases.lease import Lease
from roboyard.storage.leases.record import LeaseRecord
from roboyard.storage.local import LocalStore
from roboyard.testing.faulty_s3 import FaultyS3


def write_run(store: Store, run: str, state: str = "interrupted", **status: object) -> None:
    facts = {"state": state, "step": 300, "host": "far", "pid": 7, "reason": ""} | status
    store.put(f"{run}/config.yaml", b"name: x")
    store.put(f"{run}/status.json", json.dumps(facts).encode())
    for step in (100, 200, 300):
        folder = f"{run}/checkpoints/{step:012d}"
        data = b"weights" * step
        facts = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        store.put(f"{folder}/policy.safetensors", data)
        files = json.dumps({"files": {"policy.safetensors": facts}})
        store.put(f"{folder}/MANIFEST.json", files.encode())


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def test_all_runs_are_found_at_any_depth(store: LocalStore) -> None:
    write_run(store, "ant/r1", "finished", reason="all steps done")
    write_run(store, "cartpole/r2")
    store.put("cartpole/r3/config.yaml", b"")
    store.put("notes.txt", b"")
    found = {run.run: run for run in find_runs(store)}
    assert list(found) == ["ant/r1", "cartpole/r2", "cartpole/r3"]
    assert found["ant/r1"].state == "finished"
    assert found["ant/r1"].reason == "all steps done"
    assert found["ant/r1"].checkpoints == (300, 200, 100)
    assert found["cartpole/r3"].state == "queued"
    assert [run.run for run in find_runs(store, "cartpole")] == ["cartpole/r2", "cartpole/r3"]
    assert find_run(LocalStore(store.root / "ant" / "r1")).step == 300
    assert find_runs(LocalStore(store.root / "ant" / "r1"))[0].run == ""


def test_what_is_no_run_is_named(store: LocalStore) -> None:
    with pytest.raises(NotFoundError, match="holds neither config"):
        find_run(store, "ant/r9")


def test_a_running_run_with_a_lease_is_running(store: LocalStore) -> None:
    write_run(store, "r", "running")
    with Lease.acquire(store, "r/lease.json"):
        summary = find_run(store, "r")
    assert (summary.state, summary.epoch) == ("running", 1)
    assert f"process {os.getpid()} on" in summary.driver


def test_a_killed_run_is_shown_as_lost(store: LocalStore) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    write_run(store, "here", "running", host=socket.gethostname(), pid=ended.pid)
    assert find_run(store, "here").state == "lost"
    assert f"process {ended.pid} has ended" in find_run(store, "here").reason
    write_run(store, "alive", "running", host=socket.gethostname(), pid=os.getpid())
    assert find_run(store, "alive").state == "running"
    write_run(store, "leased", "running")
    record = LeaseRecord(3, "", Holder("far", 1, "x", "1"), -1.0, "n")  # run out
    store.put("leased/lease.json", record.to_bytes())
    assert find_run(store, "leased").state == "lost"
    assert "gave no sign of life" in find_run(store, "leased").reason


def test_a_damaged_status_does_not_hide_the_run(store: LocalStore) -> None:
    write_run(store, "r")
    store.put("r/status.json", b"{half")
    summary = find_run(store, "r")
    assert summary.state == "unknown"
    assert "status.json cannot be read" in summary.reason


def test_an_intact_run_verifies(store: LocalStore) -> None:
    write_run(store, "r")
    with zipfile.ZipFile(store.root / "bundle.zip", "w") as bundle:
        bundle.writestr("x", b"x" * 100)
    store.put("r/policy/best.zip", store.root / "bundle.zip")
    audit = verify_run(store, "r")
    assert audit.problems == ()
    assert audit.files == 9
    assert [folder[-3:] for folder in audit.checkpoints] == ["300", "200", "100"]


def test_every_kind_of_damage_is_found_and_named(store: LocalStore) -> None:
    write_run(store, "r")
    top = store.root / "r" / "checkpoints"
    part = top / "000000000300" / "policy.safetensors"
    part.write_bytes(b"w3ights" + part.read_bytes()[7:])
    (top / "000000000200" / "policy.safetensors").unlink()
    (top / "000000000100" / "policy.safetensors").write_bytes(b"short")
    (top / "000000000050").mkdir()
    (top / "000000000050" / "part").touch()
    (store.root / "r" / "status.json").write_bytes(b"{half")
    (store.root / "r" / "policy").mkdir()
    (store.root / "r" / "policy" / "last.zip").write_bytes(b"PK not a zip")
    audit = verify_run(store, "r")
    assert audit.checkpoints == ()
    found = {
        problem.key.removeprefix("checkpoints/000000000"): problem.text
        for problem in audit.problems
    }
    assert audit.remains == ("checkpoints/000000000050",)
    assert "5 bytes instead of 700" in found["100/policy.safetensors"]
    assert found["200/policy.safetensors"] == "is missing"
    assert "was altered" in found["300/policy.safetensors"]
    assert "is damaged" in found["status.json"]
    assert "is damaged" in found["policy/last.zip"]


def test_damage_inside_a_bucket_is_found(make_s3_store, s3: FaultyS3) -> None:
    store = make_s3_store()
    write_run(store, "r")
    s3.damage("runs/r/config.yaml")
    audit = verify_run(store, "r")
    assert [problem.key for problem in audit.problems] == ["config.yaml"]
    assert "is damaged: its SHA-256" in audit.problems[0].text


def test_pruning_keeps_the_newest_and_everything_else(store: LocalStore) -> None:
    write_run(store, "r")
    store.put("r/checkpoints/000000000400/part", b"never finished")
    planned = prune_run(store, "r", keep=2, dry_run=True)
    assert [folder[-3:] for folder in planned.folders] == ["100", "400"]
    assert planned.bytes > 700
    assert find_run(store, "r").checkpoints == (300, 200, 100)
    assert prune_run(store, "r", keep=2) == planned
    assert find_run(store, "r").checkpoints == (300, 200)
    assert verify_run(store, "r").problems == ()
    assert store.stat("r/config.yaml") is not None


def test_a_run_that_is_driven_is_not_pruned(store: LocalStore) -> None:
    write_run(store, "r", "running")
    with (
        Lease.acquire(store, "r/lease.json"),
        pytest.raises(StorageError, match=r"driven by process \d+ on .* Prune it when"),
    ):
        prune_run(store, "r")
    assert len(find_run(store, "r").checkpoints) == 3
