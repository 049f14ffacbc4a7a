"""Links, removed files, failing disks and odd file systems: named, mended or refused."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from pathlib import Path

import pytest
from stable_baselines3.common.callbacks import BaseCallback
from training_runs import fingerprint, rows, tiny_config, train

from roboyard.errors import CheckpointError, ConfigError, StorageError
from roboyard.storage import atomic, locks, open_store
from roboyard.storage.base import AlreadyExistsError
from roboyard.storage.leases import holder
from roboyard.storage.leases.holder import Holder
from roboyard.storage.local import LocalStore
from roboyard.testing.faulty_s3 import Fault, FaultyS3
from roboyard.training.checkpoints.store import CheckpointStore, CheckpointSubject
from roboyard.training.trainer import Trainer

SHORT = ("train.total_steps=64", "evaluation.every_steps=64")


class At(BaseCallback):
    """Does something once, at a step."""

    def __init__(self, step: int, action: object) -> None:
        super().__init__()
        self._step, self._action = step, action

    def _on_step(self) -> bool:
        if self.num_timesteps == self._step:
            self._action()
        return True


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    return train(tiny_config(folder, overrides=SHORT), run_id="a").run_dir


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "tiny" / "a")
    return tmp_path / "tiny" / "a"


@pytest.mark.parametrize("name", ["checkpoints", "metrics.jsonl", "policy", "checkpoints/segments"])
def test_a_run_that_holds_a_link_is_not_continued_and_nothing_behind_it_changes(
    name: str, run: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for kept in ("2024", ".notes.tmp"):
        (mine / kept).mkdir()
        (mine / kept / "thesis").write_text("years of work")
    target = mine if "." not in name else mine / "2024" / "thesis"
    path = run / name
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    path.symlink_to(target)
    with pytest.raises(ConfigError, match=rf"'.*{name}' is a link to '{target}'"):
        train(tiny_config(tmp_path, overrides=SHORT), resume_from=run)
    assert len(list(mine.rglob("thesis"))) == 2
    assert (mine / "2024" / "thesis").read_text() == "years of work"


def test_only_a_runs_own_names_are_removed_from_its_checkpoints(tmp_path: Path) -> None:
    for name in ("2024", ".notes.tmp", "segments"):
        (tmp_path / name).mkdir()
    (tmp_path / "segments" / "photo.jpg").touch()
    (tmp_path / ".000000000009.0a1b2c3d.tmp").mkdir()
    CheckpointStore(tmp_path, CheckpointSubject("PPO", "x")).discard_after(0)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert left == {"2024", ".notes.tmp", "segments", "segments/photo.jpg"}


def test_a_checkpoint_whose_replacement_was_killed_between_two_renames_is_found(
    run: Path,
) -> None:
    store = CheckpointStore(
        run / "checkpoints", CheckpointSubject("PPO", "roboyard/SimpleRobot-v0")
    )
    newest = run / "checkpoints" / f"{64:012d}"
    newest.rename(newest.with_name(f".{newest.name}.0a1b2c3d.old.tmp"))
    found = store.newest_good()
    assert found is not None
    assert found.manifest.step == 64


def test_a_store_in_the_home_folder_is_found_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    config = tiny_config(Path("~/runs"), overrides=SHORT)
    result = train(config, run_id="a")
    assert result.run_dir == tmp_path / "home" / "runs" / "tiny" / "a"
    assert not (tmp_path / "~").exists()
    assert train(config, resume_from="~/runs/tiny/a").steps == 64


@pytest.mark.parametrize("run_id", ["", "a/b", "../..", "/tmp/x", ".hidden", "a\nb", "x" * 300])
def test_a_run_id_that_is_no_name_is_refused(run_id: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be a run's name\. Give 1 to 200 letters"):
        Trainer(tiny_config(tmp_path), run_id=run_id)
    assert list(tmp_path.iterdir()) == []


def test_an_extension_that_was_killed_after_its_config_is_not_lost(
    run: Path, tmp_path: Path
) -> None:
    longer = tiny_config(tmp_path, overrides=("train.total_steps=96", SHORT[1]))
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("total_steps: 64", "total_steps: 96"))
    assert train(longer, resume_from=run).steps == 96


def test_a_damaged_status_does_not_keep_a_run_from_going_on(run: Path, tmp_path: Path) -> None:
    (run / "status.json").write_bytes(b"{half")
    assert train(tiny_config(tmp_path, overrides=SHORT), resume_from=run).state == "finished"


def test_metrics_that_are_removed_during_a_run_are_written_anew(
    tmp_path: Path, finished: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tiny" / "a" / "metrics.jsonl"
    config = tiny_config(tmp_path, overrides=SHORT)
    train(config, run_id="a", callbacks=[At(48, path.unlink)])
    assert rows(path) == rows(finished / "metrics.jsonl")
    assert f"'{path}' was removed while the run went on, and written anew" in caplog.text


def test_a_lease_that_is_removed_during_a_run_is_written_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tiny" / "a" / "lease.json"
    train(tiny_config(tmp_path, overrides=SHORT), run_id="a", callbacks=[At(48, path.unlink)])
    assert "was removed by somebody, and written anew" in caplog.text
    assert json.loads(path.read_text())["released"]


def test_a_folder_that_is_removed_during_a_run_is_a_failure(tmp_path: Path) -> None:
    run = tmp_path / "tiny" / "a"
    config = tiny_config(tmp_path, overrides=SHORT)
    with pytest.raises(StorageError, match=f"the run's folder '{run}' was removed"):
        train(config, run_id="a", callbacks=[At(48, lambda: shutil.rmtree(run))])


def test_a_log_that_cannot_be_written_is_told_once_and_never_spoils_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("roboyard.runs.log_file._RunLogHandler.flush", fail)
    assert train(tiny_config(tmp_path, overrides=SHORT), run_id="a").state == "finished"
    assert caplog.text.count("misses lines: it cannot be written") == 1


def test_a_file_system_without_fsync_is_named_once_with_what_is_lost(
    tmp_path: Path,
    finished: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(atomic, "_told", set())
    done = train(tiny_config(tmp_path, overrides=SHORT), run_id="a")
    assert fingerprint(done.run_dir) == fingerprint(finished)
    assert caplog.text.count("cannot force files to the disk (fsync)") == 1
    assert "may be lost or cut short by a power cut" in caplog.text


def test_a_file_system_without_locks_is_named_once_with_what_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(file: object, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(locks, "_told", set())
    config = tiny_config(tmp_path, overrides=SHORT)
    done = train(config, run_id="a")
    assert train(config, resume_from=done.run_dir).state == "finished"
    assert caplog.text.count("has no file locks (flock)") == 1


def test_a_disk_that_fails_for_another_reason_still_fails_the_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match=r"output error\. The disk or its connection fails"):
        atomic.write_text(tmp_path / "x", "y")
    assert list(tmp_path.iterdir()) == []


def test_a_living_process_that_proc_hides_is_not_judged_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parent = Holder.this_process()
    other = Holder(parent.host, os.getppid(), parent.realm, "12345")
    assert other.is_dead(), "another process has its id now"
    monkeypatch.setattr(holder, "_start_ticks", lambda pid: "")
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert not other.is_dead()

    def refused(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refused)
    assert not other.is_dead()


def test_a_held_lock_is_named_and_not_waited_for_without_end(tmp_path: Path) -> None:
    path = tmp_path / "x"
    held = rf"held by process {os.getpid()}"
    with (
        locks.locked(path),
        pytest.raises(StorageError, match=held),
        locks.locked(path, wait_s=0.05),
    ):
        pass


def test_a_lock_whose_file_was_removed_is_not_held_by_two(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    first = store.put("run/x", b"1")
    (tmp_path / "run" / ".x.lock").touch()
    with locks.locked(tmp_path / "run" / "x"):
        (tmp_path / "run" / ".x.lock").unlink()
    assert store.put("run/x", b"2", if_version=first.version).size == 1


def test_a_result_is_published_at_the_end_when_the_credentials_had_expired_meanwhile(
    s3: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from roboyard.runs import ownership

    original, calls = ownership.publish_once, []

    def expired_once(store: object, key: str, content: bytes) -> object:
        calls.append(key)
        if len(calls) == 1:
            s3.fail(Fault("PUT", match="results", status=403, code="ExpiredToken"), times=10**6)
            try:
                return original(store, key, content)
            finally:
                s3.heal()  # the credentials are renewed
        return original(store, key, content)

    monkeypatch.setattr(ownership, "publish_once", expired_once)
    config = tiny_config(tmp_path, overrides=("store=s3://bucket/runs", *SHORT))
    train(config, run_id="a")
    (key,) = set(calls)
    assert len(calls) == 2
    store = open_store("s3://bucket/runs/tiny/a")
    assert json.loads(store.get(key).data)["step"] == 64
    with pytest.raises(AlreadyExistsError):
        store.put(key, b"another", if_absent=True)


def test_the_clock_of_the_file_system_is_asked_once_for_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    for number in range(5):
        store.put(f"r/{number}", b"x")
    asked: list[float] = []
    monkeypatch.setattr(LocalStore, "_now", lambda self: asked.append(0.0) or 0.0)
    assert len(list(store.list())) == 5
    assert len(asked) == 1


def test_names_in_a_manifest_that_lead_out_of_the_run_are_damage(run: Path, tmp_path: Path) -> None:
    path = run / "checkpoints" / f"{64:012d}" / "MANIFEST.json"
    raw = json.loads(path.read_text())
    raw["files"]["../../../secret"] = {"bytes": 1, "sha256": "0"}
    path.write_text(json.dumps(raw))
    store = CheckpointStore(
        run / "checkpoints", CheckpointSubject("PPO", "roboyard/SimpleRobot-v0")
    )
    with pytest.raises(CheckpointError, match=r"names '\.\./\.\./\.\./secret', which is no file"):
        store.newest_good()
