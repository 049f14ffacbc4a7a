"""Checkpoints are whole or absent, and damage is found, named and survived."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import resource
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from training_runs import fingerprint, last_checkpoint, rows, tiny_config, train

from roboyard.errors import CheckpointError, StorageError
from roboyard.training.checkpoints.manifest import FORMAT_VERSION
from roboyard.training.checkpoints.store import CheckpointStore, CheckpointSubject, Marks, Retention

SUBJECT = CheckpointSubject("PPO", "some-env")


def store(path: Path, **kwargs: object) -> CheckpointStore:
    return CheckpointStore(path, SUBJECT, **kwargs)


def fill(folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"0123456789")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tiny_config(tmp_path_factory.mktemp("whole")), run_id="a").run_dir


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A finished run whose status says that it was killed before its end."""
    path = tmp_path / "tiny" / "a"
    shutil.copytree(whole, path)
    status = json.loads((path / "status.json").read_text())
    (path / "status.json").write_text(json.dumps({**status, "state": "running"}))
    return path


def resumed(run: Path) -> Path:
    return train(tiny_config(run.parent.parent), resume_from=run).run_dir


def truncate(folder: Path) -> str:
    path = folder / "loop.npz"
    path.write_bytes(path.read_bytes()[:-10])
    return r"loop\.npz has \d+ bytes instead of \d+"


def flip(folder: Path) -> str:
    path = folder / "policy.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    return r"the content of policy\.safetensors was altered"


def lose_part(folder: Path) -> str:
    (folder / "generators.npz").unlink()
    return r"generators\.npz is missing"


def lose_manifest(folder: Path) -> str:
    (folder / "MANIFEST.json").unlink()
    return r"MANIFEST\.json is missing"


def garble_manifest(folder: Path) -> str:
    (folder / "MANIFEST.json").write_text('{"format_version": 1, "ste')
    return r"MANIFEST\.json cannot be read"


def empty(folder: Path) -> str:
    shutil.rmtree(folder)
    folder.mkdir()
    return r"MANIFEST\.json is missing"


@pytest.mark.parametrize(
    "damage", [truncate, flip, lose_part, lose_manifest, garble_manifest, empty]
)
def test_damage_is_named_and_the_checkpoint_before_it_continues_to_the_same_end(
    run: Path, whole: Path, caplog: pytest.LogCaptureFixture, damage: object
) -> None:
    message = damage(last_checkpoint(run))
    with caplog.at_level(logging.WARNING):
        resumed(run)
    assert any(
        "000000000192' is damaged" in record.message and re.search(message, record.message)
        for record in caplog.records
    )
    assert fingerprint(run) == fingerprint(whole)
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        assert rows(run / name) == rows(whole / name)


def test_when_all_are_damaged_it_says_so(run: Path) -> None:
    for folder in (run / "checkpoints").iterdir():
        truncate(folder)
    with pytest.raises(CheckpointError, match=r"every checkpoint in .* is damaged .*step 96"):
        resumed(run)


def test_a_newer_format_is_refused_not_passed_over(run: Path) -> None:
    path = last_checkpoint(run) / "MANIFEST.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 4}))
    with pytest.raises(CheckpointError, match="format version 4; this version of Roboyard reads"):
        resumed(run)


@pytest.mark.parametrize("name", ["algorithm", "environment"])
def test_another_subject_is_refused(run: Path, name: str) -> None:
    path = last_checkpoint(run) / "MANIFEST.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: "other"}))
    with pytest.raises(CheckpointError, match=f"belongs to the {name} 'other'"):
        resumed(run)


def test_rows_after_the_checkpoint_are_not_doubled(run: Path, whole: Path) -> None:
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        with (run / name).open("a") as file:
            file.write('{"step": 193}\n{"step": 1')
    shutil.rmtree(last_checkpoint(run))
    resumed(run)
    assert rows(run / "metrics.jsonl") == rows(whole / "metrics.jsonl")
    assert _tensorboard(run) == _tensorboard(whole)


def _tensorboard(run: Path) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(run / "tensorboard"))
    accumulator.Reload()
    tags = ("rollout/return_mean", "evaluation/return_mean")
    return [(event.step, event.value) for tag in tags for event in accumulator.Scalars(tag)]


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    checkpoints = store(tmp_path, retention=Retention(2))
    for step in (5, 10, 15):
        checkpoints.write(step, fill)
    assert checkpoints.steps() == [10, 15]


@pytest.mark.parametrize("cadence", [1, 3, 7])
def test_the_first_of_every_so_many_steps_is_kept_for_ever(tmp_path: Path, cadence: int) -> None:
    checkpoints = store(tmp_path, retention=Retention(2, every_steps=10))
    for step in range(cadence, 41, cadence):
        checkpoints.write(step, fill)
    multiples = {1: [10, 20, 30, 39, 40], 3: [12, 21, 30, 36, 39], 7: [14, 21, 28, 35]}
    assert checkpoints.steps() == multiples[cadence]


def test_the_best_is_kept_until_there_is_a_better_one(tmp_path: Path) -> None:
    checkpoints = store(tmp_path, retention=Retention(1))
    kept = []
    for step in range(1, 7):
        checkpoints.write(step, fill, Marks(best=step in (2, 5)))
        kept.append(checkpoints.steps())
    assert kept == [[1], [2], [2, 3], [2, 4], [5], [5, 6]]


def test_a_run_keeps_the_checkpoint_of_its_best_evaluation(tmp_path: Path) -> None:
    few = ("checkpoint={every_steps: 1000, keep_last: 1, keep_best: true}",)
    run = train(tiny_config(tmp_path, overrides=few), run_id="a").run_dir
    evaluations = rows(run / "evaluations.jsonl")
    best = [row["step"] for row in evaluations if row["is_best"]][-1]
    steps = [int(path.name) for path in sorted((run / "checkpoints").iterdir())]
    assert steps == sorted({best, 192})


def test_the_manifest_says_what_it_holds_and_where_it_comes_from(whole: Path) -> None:
    folder = last_checkpoint(whole)
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    assert manifest["format_version"] == FORMAT_VERSION
    assert (manifest["step"], manifest["algorithm"]) == (192, "PPO")
    for name, facts in manifest["files"].items():
        data = (folder / name).read_bytes()
        assert facts == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert set(manifest["files"]) | {"MANIFEST.json"} == {path.name for path in folder.iterdir()}
    assert manifest["versions"]["torch"]
    assert "git_revision" in manifest
    assert manifest["host"]["name"]


def test_a_write_that_fails_leaves_the_older_one_and_nothing_else(tmp_path: Path) -> None:
    def full(folder: Path) -> None:
        fill(folder)
        raise OSError(28, "No space left on device")

    checkpoints = store(tmp_path, retention=Retention(1))
    checkpoints.write(5, fill)
    with pytest.raises(
        StorageError,
        match=r"checkpoint of step 10 .*No space left on device; the one of step 5 is still good",
    ):
        checkpoints.write(10, full)
    assert [path.name for path in tmp_path.iterdir()] == ["000000000005"]
    assert checkpoints.newest_good().manifest.step == 5


def test_a_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert store(tmp_path / "none").newest_good() is None


def test_an_unfinished_write_is_not_a_checkpoint(tmp_path: Path) -> None:
    checkpoints = store(tmp_path)
    (tmp_path / ".000000000009.tmp").mkdir()
    checkpoints.write(5, fill)
    assert checkpoints.newest_good().manifest.step == 5
    checkpoints.discard_after(5)
    assert [path.name for path in tmp_path.iterdir()] == ["000000000005"]


def test_a_full_disk_ends_the_run_with_one_line_and_a_good_checkpoint(tmp_path: Path) -> None:
    script = f"""
        import resource, sys
        sys.path[:0] = [{str(Path(__file__).parent)!r}]
        from stable_baselines3.common.callbacks import BaseCallback
        from training_runs import *
        from roboyard.errors import RoboyardError

        class FillDisk(BaseCallback):
            def _on_step(self):
                if self.num_timesteps >= 100:  # a limit on files acts as a full disk does
                    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
                return True

        try:
            train(tiny_config({str(tmp_path)!r}), run_id="a", callbacks=[FillDisk()])
        except RoboyardError as error:
            print(f"{{type(error).__name__}}: {{error}}")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stdout.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("StorageError: cannot write")
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    run = tmp_path / "tiny" / "a"
    assert last_checkpoint(run).name == "000000000096"
    config = tiny_config(tmp_path)
    assert train(config, resume_from=run).steps == 192
