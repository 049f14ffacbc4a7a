"""Run directories travel to a store and back, and no reader ever sees half a checkpoint."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from roboyard.errors import StorageError
from roboyard.storage.base import NotFoundError, Store
from roboyard.storage.leases.fenced_store import FencedStore
from roboyard.storage.leases.lease import Lease, LeaseHeldError, LeaseLostError
from roboyard.storage.local import LocalStore
from roboyard.storage.mirror.background import BackgroundMirror
from roboyard.storage.mirror.pull import pull
from roboyard.storage.mirror.push import Mirror
from roboyard.storage.mirror.remote_run import RemoteRun
from roboyard.storage.mirror.run_layout import checkpoints_among
from roboyard.testing.faulty_s3 import Fault, FaultyS3

RUN = "ant/r1"


def checkpoint(run: Path, step: int, content: bytes = b"") -> Path:
    """Write a checkpoint the way training does."""
    folder = run / "checkpoints" / f"{step:012d}"
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name in ("policy.safetensors", "state.json"):
        data = name.encode() + str(step).encode() * 100 + content
        (folder / name).write_bytes(data)
        files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest = {"format_version": 1, "step": step, "files": files}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    for step in (100, 200):
        checkpoint(run, step)
    (run / "config.yaml").write_text("name: ant")
    (run / "metrics.jsonl").write_text("{}\n")
    (run / "videos").mkdir()
    (run / "videos" / "final.mp4").write_bytes(b"film")
    (run / "status.json").write_text('{"state": "running", "step": 200}')
    (run / "lease.json").write_text("{}")
    (run / "checkpoints" / ".000000000300.tmp").mkdir()
    (run / "checkpoints" / ".000000000300.tmp" / "half").write_text("half")
    (run / "checkpoints" / "000000000050").mkdir()
    (run / "checkpoints" / "000000000050" / "part-without-manifest").write_text("x")
    return run


@pytest.fixture(params=["local", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return LocalStore(tmp_path / "store")
    return request.getfixturevalue("make_s3_store")()


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


TRAVELS_NOT = ("lease.json", ".000000000300.tmp", "000000000050")


def test_a_run_arrives_whole_and_without_what_is_private(
    run: Path, any_store: Store, tmp_path: Path
) -> None:
    sent = Mirror(run, any_store, RUN).push()
    assert (sent.files, sent.unchanged) == (10, 0)
    got = pull(any_store, RUN, tmp_path / "copy", checkpoints="all")
    expected = {k: v for k, v in content(run).items() if not any(t in k for t in TRAVELS_NOT)}
    assert content(tmp_path / "copy") == expected
    assert (got.files, got.checkpoint, got.problems) == (10, 200, ())
    assert got.bytes > 0


def test_only_what_changed_is_sent_again(run: Path, make_s3_store, s3: FaultyS3) -> None:
    mirror = Mirror(run, make_s3_store(), RUN)
    mirror.push()
    assert mirror.push()[:3] == (0, 0, 10)
    with (run / "metrics.jsonl").open("a") as file:
        file.write("{}\n")
    s3.requests.clear()
    assert mirror.push()[:3] == (1, 6, 9)
    assert len(s3.requests) == 1
    after_a_restart = Mirror(run, make_s3_store(), RUN)
    assert after_a_restart.push()[:3] == (0, 0, 10)


def test_manifests_are_stored_after_their_parts_and_the_status_last(
    run: Path, make_s3_store, s3: FaultyS3
) -> None:
    Mirror(run, make_s3_store(), RUN).push()
    puts = [line.split("/ant/r1/")[1].rstrip("?") for line in s3.requests if line[:3] == "PUT"]
    for step in ("100", "200"):
        names = [key.split("/")[2] for key in puts if f"checkpoints/000000000{step}/" in key]
        assert names[-1] == "MANIFEST.json"
    assert max(puts.index(key) for key in puts if "MANIFEST" in key) < puts.index(
        "videos/final.mp4"
    )
    assert puts[-1] == "status.json"


def test_a_push_that_dies_anywhere_leaves_only_complete_checkpoints(
    run: Path, make_s3_store, s3: FaultyS3, tmp_path: Path
) -> None:
    store = make_s3_store()
    Mirror(run, store, RUN).push()
    checkpoint(run, 200, b"written again after a continuation")
    checkpoint(run, 300)
    deaths = 0
    dead = Fault(method="PUT", match="^/bucket/runs/ant", status=400, code="Dead")
    while True:
        s3.fail(dead, times=100, after=1)  # every life stores one more file
        try:
            Mirror(run, store, RUN, threads=1).push()
        except StorageError as error:
            assert "400 Dead" in str(error)
        else:
            break
        s3.heal()
        deaths += 1
        got = pull(store, RUN, tmp_path / str(deaths))
        assert got.problems == ()
        assert got.checkpoint in (200, 300), "a good checkpoint was taken away too early"
    assert deaths == 2, "three files were new: the good checkpoint of step 200 stands"
    assert pull(store, RUN, tmp_path / "end").checkpoint == 300


def test_rotation_reaches_the_store_but_a_wiped_folder_does_not(
    run: Path, any_store: Store
) -> None:
    mirror = Mirror(run, any_store, RUN)
    mirror.push()
    checkpoint(run, 300)
    shutil.rmtree(run / "checkpoints" / "000000000100")
    assert mirror.push().removed == 1

    keys = [info.key.removeprefix(f"{RUN}/") for info in any_store.list(RUN)]
    assert [folder[-3:] for folder in checkpoints_among(keys)] == ["300", "200"]
    assert not [key for key in keys if "000000000100" in key]
    shutil.rmtree(run / "checkpoints")
    assert mirror.push().removed == 0
    assert any_store.stat(f"{RUN}/checkpoints/000000000300/MANIFEST.json") is not None


def test_continuing_elsewhere_removes_no_checkpoint_it_did_not_write(
    run: Path, any_store: Store, tmp_path: Path
) -> None:
    Mirror(run, any_store, RUN).push()
    here = tmp_path / "here"
    pull(any_store, RUN, here, checkpoints="latest")
    assert [path.name for path in (here / "checkpoints").iterdir()] == ["000000000200"]
    checkpoint(here, 300)
    assert Mirror(here, any_store, RUN).push().removed == 0
    assert any_store.stat(f"{RUN}/checkpoints/000000000100/MANIFEST.json") is not None


def test_pulling_again_fetches_nothing(run: Path, make_s3_store, tmp_path: Path) -> None:
    store = make_s3_store()
    Mirror(run, store, RUN).push()
    pull(store, RUN, tmp_path / "copy")
    assert pull(store, RUN, tmp_path / "copy").files == 0
    (tmp_path / "copy" / "checkpoints" / "000000000200" / "state.json").write_bytes(b"damaged")
    assert pull(store, RUN, tmp_path / "copy").files == 3
    assert pull(store, RUN, tmp_path / "none", checkpoints="none").checkpoint is None


@pytest.mark.parametrize("damage", ["flip", "cut", "missing part", "half manifest"])
def test_a_damaged_checkpoint_is_named_and_the_older_one_taken(
    run: Path, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = LocalStore(tmp_path / "store")
    Mirror(run, store, RUN).push()
    folder = tmp_path / "store" / RUN / "checkpoints" / "000000000200"
    part, manifest = folder / "state.json", folder / "MANIFEST.json"
    if damage == "flip":
        part.write_bytes(bytes([part.read_bytes()[0] ^ 1]) + part.read_bytes()[1:])
    elif damage == "cut":
        part.write_bytes(part.read_bytes()[:-1])
    elif damage == "missing part":
        part.unlink()
    else:
        manifest.write_bytes(manifest.read_bytes()[:40])
    got = pull(store, RUN, tmp_path / "copy")
    said = {
        "flip": "was altered",
        "cut": "bytes instead of",
        "missing part": "does not exist",
        "half manifest": "cannot be read",
    }
    assert got.checkpoint == 100
    assert said[damage] in got.problems[0]
    assert "checkpoints/000000000200" in got.problems[0]
    assert "trying an older checkpoint" in caplog.text
    assert [path.name for path in (tmp_path / "copy" / "checkpoints").iterdir()] == ["000000000100"]
    (tmp_path / "store" / RUN / "checkpoints" / "000000000100" / "MANIFEST.json").write_bytes(b"")
    with pytest.raises(StorageError, match=r"none of the 2 checkpoints .* can be used"):
        pull(store, RUN, tmp_path / "copy2")


def test_a_store_that_fails_is_not_taken_for_a_damaged_checkpoint(
    run: Path, make_s3_store, s3: FaultyS3, tmp_path: Path
) -> None:
    store = make_s3_store()
    Mirror(run, store, RUN).push()
    s3.fail(Fault(method="GET", match="000000000200/", status=503, code="SlowDown"), times=4)
    with pytest.raises(StorageError, match="503 SlowDown"):
        pull(store, RUN, tmp_path / "copy")
    assert not (tmp_path / "copy" / "status.json").exists()


def test_a_run_that_is_not_there_is_named(any_store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"nobody/r9' holds no run.*roboyard runs list"):
        pull(any_store, "nobody/r9", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_lost_lease_stops_the_mirror(run: Path, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    lease = Lease.acquire(store, f"{RUN}/lease.json")
    mirror = Mirror(run, FencedStore(store, lease), RUN)
    mirror.push()
    lease.release()
    (run / "metrics.jsonl").write_text("late")
    with pytest.raises(LeaseLostError):
        mirror.push()
    assert store.get(f"{RUN}/metrics.jsonl").data == b"{}\n"


def test_another_machine_continues_from_the_uri_alone(
    run: Path, make_s3_store, tmp_path: Path
) -> None:
    for name in ("status.json", "lease.json"):
        (run / name).unlink()
    there = tmp_path / "machine-2"
    with RemoteRun.open(make_s3_store("runs/ant/r1"), run, owner="machine 1") as first:
        assert (first.pulled.checkpoint, first.lease.epoch) == (None, 1)
        with pytest.raises(LeaseHeldError, match=r"runs/ant/r1' is being driven.*'machine 1'"):
            RemoteRun.open(make_s3_store("runs/ant/r1"), there)
        assert not there.exists()
    with RemoteRun.open(make_s3_store("runs/ant/r1"), there) as second:
        assert (second.pulled.checkpoint, second.lease.epoch) == (200, 2)
        checkpoint(there, 300)
        second.request_push()
    assert pull(make_s3_store("runs/ant/r1"), "", tmp_path / "look").checkpoint == 300


def test_files_that_were_not_sent_yet_are_not_overwritten(run: Path, any_store: Store) -> None:
    (run / "lease.json").unlink()
    with RemoteRun.open(any_store, run):
        pass
    checkpoint(run, 300)
    (run / "metrics.jsonl").write_text("{}\n{}\n")
    with RemoteRun.open(any_store, run) as again:
        assert again.pulled.files == 0
        assert (run / "metrics.jsonl").read_text() == "{}\n{}\n"
    assert any_store.get("metrics.jsonl").data == b"{}\n{}\n"


@pytest.fixture
def background(run: Path, make_s3_store) -> Iterator[BackgroundMirror]:
    mirror = BackgroundMirror(Mirror(run, make_s3_store(), RUN), pause_s=0.001)
    yield mirror
    mirror.close()


def test_the_background_stores_what_was_there_at_the_flush(
    background: BackgroundMirror, run: Path, make_s3_store
) -> None:
    for number in range(50):
        (run / "metrics.jsonl").write_text(str(number))
        background.request()
    background.flush(20.0)
    assert make_s3_store().get(f"{RUN}/metrics.jsonl").data == b"49"
    assert background.error is None
    assert background.age_s < 20.0


def test_a_failing_background_tells_its_owner_and_recovers(
    run: Path, make_s3_store, s3: FaultyS3
) -> None:
    told = threading.Event()
    errors: list[StorageError] = []

    def on_error(error: StorageError) -> None:
        errors.append(error)
        told.set()

    mirror = Mirror(run, make_s3_store(), RUN)
    s3.fail(Fault(status=503, code="SlowDown"), times=10_000)
    background = BackgroundMirror(mirror, on_error=on_error, pause_s=0.001)
    background.request()
    assert told.wait(10.0)
    with pytest.raises(StorageError, match=r"not be brought up to date in 0\.05 s \(.*SlowDown"):
        background.flush(0.05)
    assert background.failures > 0
    s3.heal()
    background.close(20.0)
    assert background.error is None
    assert background.failures == 0
    assert "answered 503 SlowDown" in str(errors[0])
