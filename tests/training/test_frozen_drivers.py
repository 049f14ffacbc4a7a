"""A process that slept through its lease leaves the run of the one that took over untouched."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from freezes import LEASE_S, PHASES, start_frozen
from training_runs import fingerprint, rows, tiny_config, train

from roboyard.errors import StorageError
from roboyard.runs.index import has_remains
from roboyard.storage import open_store
from roboyard.storage.base import Store
from roboyard.storage.leases.lease import EXIT_LOST
from roboyard.storage.leases.record import LEASE_FILE, observe
from roboyard.storage.mirror.run_layout import checkpoint_of
from roboyard.testing.faulty_s3 import FaultyS3

QUICK = {"checkpoint"}
LOCAL_PHASES = [phase for phase in PHASES if phase not in {"upload", "checkpoint's rename"}]
URI = "s3://bucket/runs/tiny/a"


@pytest.fixture(autouse=True)
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOYARD_LEASE_SECONDS", str(LEASE_S))


def marked(phases: list[str], quick: set[str]) -> list[object]:
    return [
        pytest.param(phase, marks=[] if phase in quick else [pytest.mark.slow]) for phase in phases
    ]


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peace")
    return train(tiny_config(folder), run_id="a").run_dir


def await_free(store: Store) -> None:
    """Wait until the lease of the frozen process has run out, by the store's own clock."""
    deadline = time.monotonic() + 60
    while (seen := observe(store, LEASE_FILE)) is not None and not seen.is_free:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def read_by_others(store: Store) -> dict[str, str]:
    """Return all objects but parts without a manifest: a request that was under way when its
    sender froze may still make one of a checkpoint that has been rotated since."""
    found = {info.key: info.version for info in store.list()}
    remains = has_remains(found)
    return {key: version for key, version in found.items() if checkpoint_of(key) not in remains}


def thaw(process: object) -> int:
    os.kill(process.pid, signal.SIGCONT)
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize(
    "phase", marked([p for p in PHASES if p not in {"upload", "checkpoint's rename"}], QUICK)
)
def test_a_frozen_process_leaves_a_folder_that_another_has_taken_over(
    phase: str, tmp_path: Path, whole: Path
) -> None:
    config, log = tiny_config(tmp_path), tmp_path / "stderr"
    frozen = start_frozen(config, phase, str(log))
    try:
        run = tmp_path / "tiny" / "a"
        await_free(open_store(str(run)))
        assert train(config, resume_from=run).state == "finished"
        left = content(run)
        assert thaw(frozen) == EXIT_LOST
    finally:
        frozen.kill()
    assert content(run) == left
    shown = log.read_text()
    (line,) = [text for text in shown.splitlines() if "arning" not in text]
    assert line.startswith("error: the lease ")
    assert "was taken over by process" in line
    assert fingerprint(run) == fingerprint(whole)
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        assert rows(run / name) == rows(whole / name)


def test_a_process_that_is_frozen_inside_a_rename_is_named_to_who_waits_for_it(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roboyard.storage.locks.WAIT_S", 0.5)
    config, log = tiny_config(tmp_path), tmp_path / "stderr"
    frozen = start_frozen(config, "checkpoint's rename", str(log))
    try:
        await_free(open_store(str(tmp_path / "tiny" / "a")))
        held = rf"cannot lock .*held by process {frozen.pid} \(it is stopped"
        with pytest.raises(StorageError, match=held):
            train(config, resume_from=tmp_path / "tiny" / "a")
        assert thaw(frozen) == 0, "nobody has taken over, so it goes on"
    finally:
        frozen.kill()
    assert fingerprint(tmp_path / "tiny" / "a") == fingerprint(whole)


@pytest.mark.parametrize("phase", marked(list(PHASES), {"upload"}))
def test_a_frozen_process_leaves_a_bucket_that_another_machine_has_taken_over(
    phase: str, s3: FaultyS3, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, log = tiny_config(tmp_path, overrides=("store=s3://bucket/runs",)), tmp_path / "stderr"
    frozen = start_frozen(config, phase, str(log))
    try:
        monkeypatch.setenv("ROBOYARD_CACHE", str(tmp_path / "another-machine"))
        store = open_store(URI)
        await_free(store)
        if store.stat("config.yaml") is None:
            pytest.skip("nothing had been sent yet")
        taken = train(config, resume_from=URI)
        assert taken.state == "finished"
        left = read_by_others(store)
        assert thaw(frozen) == EXIT_LOST
    finally:
        frozen.kill()
    assert read_by_others(store) == left
    assert "was taken over by process" in log.read_text().splitlines()[-1]
    assert fingerprint(taken.run_dir) == fingerprint(whole)
