"""Files that several checkpoints share travel once, and stay as long as one needs them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from roboyard.errors import StorageError
from roboyard.runs.audit import prune_run, verify_run
from roboyard.storage.local import LocalStore
from roboyard.storage.mirror.pull import pull
from roboyard.storage.mirror.push import Mirror


def checkpoint(run: Path, step: int, segments: list[str]) -> None:
    folder = run / "checkpoints" / f"{step:012d}"
    shared = run / "checkpoints" / "segments"
    folder.mkdir(parents=True)
    shared.mkdir(exist_ok=True)
    files = {}
    for path, name in [
        (folder / "state.json", "state.json"),
        *((shared / name, f"../segments/{name}") for name in segments),
    ]:
        if not path.exists():
            path.write_text(f"{path.name} of {step}")
        data = path.read_bytes()
        files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest = {"format_version": 2, "step": step, "files": files}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    checkpoint(run, 100, ["a.npz"])
    checkpoint(run, 200, ["a.npz", "b.npz"])
    (run / "config.yaml").write_text("name: x")
    (run / "status.json").write_text('{"state": "interrupted", "step": 200}')
    return run


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def segments(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "checkpoints" / "segments").glob("*.npz"))


def test_only_the_newest_checkpoints_segments_are_fetched(
    run: Path, store: LocalStore, tmp_path: Path
) -> None:
    (run / "checkpoints" / "segments" / "unused.npz").write_text("nobody needs this")
    Mirror(run, store).push()
    assert pull(store, "", tmp_path / "copy").checkpoint == 200
    assert segments(tmp_path / "copy") == ["a.npz", "b.npz"]
    assert verify_run(store).problems == ()


def test_a_rotated_segment_leaves_the_store_with_its_last_checkpoint(
    run: Path, store: LocalStore
) -> None:
    mirror = Mirror(run, store)
    mirror.push()
    shutil.rmtree(run / "checkpoints" / f"{100:012d}")
    mirror.push()
    assert segments(store.root) == ["a.npz", "b.npz"]
    checkpoint(run, 300, ["b.npz", "c.npz"])
    shutil.rmtree(run / "checkpoints" / f"{200:012d}")
    (run / "checkpoints" / "segments" / "a.npz").unlink()
    mirror.push()
    assert segments(store.root) == ["b.npz", "c.npz"]
    assert verify_run(store).problems == ()


def test_a_checkpoint_whose_segment_is_damaged_is_passed_over(
    run: Path, store: LocalStore, tmp_path: Path
) -> None:
    Mirror(run, store).push()
    (store.root / "checkpoints" / "segments" / "b.npz").write_text("other")
    report = pull(store, "", tmp_path / "copy")
    assert report.checkpoint == 100
    assert "segments/b.npz" in report.problems[0]
    (store.root / "checkpoints" / "segments" / "a.npz").unlink()
    with pytest.raises(StorageError, match="none of the 2 checkpoints"):
        pull(store, "", tmp_path / "another")


def test_pruning_keeps_what_the_kept_checkpoints_need(run: Path, store: LocalStore) -> None:
    checkpoint(run, 300, ["b.npz", "c.npz"])
    Mirror(run, store).push()
    assert prune_run(store, keep=1).folders == tuple(
        f"checkpoints/{step:012d}" for step in (100, 200)
    )
    assert segments(store.root) == ["b.npz", "c.npz"]
    assert verify_run(store).checkpoints == (f"checkpoints/{300:012d}",)
