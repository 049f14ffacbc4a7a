"""Run directories are found, refused and described."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from roboyard.errors import ConfigError, StorageError
from roboyard.runs.directory import RunDirectory


def test_a_new_run_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    first, second = (RunDirectory.create(tmp_path, "a") for _ in range(2))
    (first.path / "x").touch()
    third = RunDirectory.create(tmp_path, "a")
    assert first.path.parent == tmp_path / "a"
    assert len({first.path, second.path, third.path}) == 3


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert RunDirectory.create(tmp_path, "a", "b").path == tmp_path / "a" / "b"


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path, "a", "b").config_file.touch()
    with pytest.raises(ConfigError, match=r"is not empty\. Continue that run with --resume"):
        RunDirectory.create(tmp_path, "a", "b")


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("in the way")
    with pytest.raises(StorageError, match="cannot make a run directory"):
        RunDirectory.create(tmp_path, "a", "b")


def test_a_bucket_is_refused_for_writing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a local folder"):
        RunDirectory.create("s3://bucket/runs", "a")


def test_only_a_run_can_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not a run directory: it has no config\.yaml"):
        RunDirectory.open(tmp_path)


def test_the_latest_run_is_the_one_started_last(tmp_path: Path) -> None:
    for age, name in enumerate(("z", "a", "m")):
        run = RunDirectory.create(tmp_path, "x", name)
        run.config_file.touch()
        os.utime(run.config_file, (100 - age, 100 - age))
    assert RunDirectory.latest(tmp_path, "x").path.name == "z"


def test_no_latest_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run of 'x'"):
        RunDirectory.latest(tmp_path, "x")


def test_the_status_is_read_back(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert run.read_status().state == "queued"
    run.write_status("failed", 7, reason="a\nb", last_checkpoint=5, notes=("n",))
    status = run.read_status()
    assert (status.state, status.step, status.reason) == ("failed", 7, "a\nb")
    assert (status.last_checkpoint, status.notes, status.pid) == (5, ("n",), os.getpid())


@pytest.mark.parametrize("text", ["{", '{"state": "lost", "step": 1}', "[]"])
def test_a_damaged_status_is_one_clear_line(tmp_path: Path, text: str) -> None:
    run = RunDirectory(tmp_path)
    run.status_file.write_text(text)
    with pytest.raises(StorageError, match=r"status\.json"):
        run.read_status()
