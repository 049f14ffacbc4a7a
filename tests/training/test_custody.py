"""One process drives a run, wherever the run lives; its files are where they are looked for."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from stable_baselines3.common.callbacks import BaseCallback
from training_runs import KillAt, fingerprint, rows, tiny_config, train

from roboyard.config.schema import CheckpointConfig
from roboyard.errors import ConfigError, StorageError
from roboyard.runs.index import find_run
from roboyard.runs.ownership import drive_new, work_folder
from roboyard.runs.resume import config_of, newest_run
from roboyard.storage import open_store
from roboyard.storage.leases.lease import LeaseHeldError, LeaseLostError
from roboyard.testing.faulty_s3 import Fault, FaultyS3
from roboyard.training.callbacks import (
    Boundary,
    CheckpointCallback,
    StopRequest,
    UploadCallback,
)
from roboyard.training.checkpoints.schedule import CheckpointSchedule
from roboyard.training.checkpoints.store import CheckpointStore, CheckpointSubject

STORE = "s3://bucket/runs"
REMOTE = (f"store={STORE}",)
URI = f"{STORE}/tiny/a"


class Pause(BaseCallback):
    """Says that training has begun, and waits there."""

    def __init__(self, begun: object, go_on: object) -> None:
        super().__init__()
        self._begun = begun
        self._go_on = go_on

    def _on_step(self) -> bool:
        self._begun.set()
        assert self._go_on.wait(60)
        return True


def _train_killed(config: object, step: int, resume_from: str | None) -> None:
    kwargs = {"resume_from": resume_from} if resume_from else {"run_id": "a"}
    train(config, callbacks=[KillAt(step)], **kwargs)


def train_killed(config: object, step: int, resume_from: str | None = None) -> None:
    """Train in a child process that dies at ``step``."""
    context = multiprocessing.get_context("spawn")  # it must see the environment's variables
    process = context.Process(target=_train_killed, args=(config, step, resume_from))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_a_run_in_a_bucket_moves_to_another_machine_by_its_uri_alone(
    s3: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tiny_config(tmp_path), run_id="whole").run_dir
    train_killed(tiny_config(tmp_path, overrides=REMOTE), 150)
    monkeypatch.setenv("ROBOYARD_CACHE", str(tmp_path / "another-machine"))
    config = config_of(URI)
    assert newest_run(config) == URI
    moved = train(config, resume_from=URI)
    assert moved.uri == URI
    assert moved.run_dir == work_folder(URI)
    assert tmp_path / "another-machine" in moved.run_dir.parents
    assert fingerprint(moved.run_dir) == fingerprint(whole)
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        assert rows(moved.run_dir / name) == rows(whole / name)
    store = open_store(URI)
    stored = find_run(store)
    assert (stored.state, stored.step, stored.checkpoints[0]) == ("finished", 192, 192)
    for name in ("policy/best.zip", "metrics.jsonl", "evaluations.jsonl"):
        assert store.get(name).data == (moved.run_dir / name).read_bytes()


def test_a_result_is_published_once_however_often_the_run_is_brought_to_its_end(
    s3: FaultyS3, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny_config(tmp_path, overrides=REMOTE)
    train(config, run_id="a")
    key = "results/000000000192.json"
    store = open_store(URI)
    before = store.get(key)
    result = json.loads(before.data)
    assert result["step"] == 192
    assert result["final_evaluation"]["returns"]
    train(config, resume_from=URI)
    assert store.get(key).info.version == before.info.version
    assert "not published" not in caplog.text
    store.put(key, b"what another machine came to")
    train(config, resume_from=URI)
    assert "was published before with another content" in caplog.text
    assert store.get(key).data == b"what another machine came to"


def test_a_bucket_that_fails_is_told_loudly_and_training_goes_on(
    s3: FaultyS3, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    denied = Fault("PUT", match="tiny/a/(?!lease)", status=403, code="AccessDenied")

    class FailAt(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps == 64:
                for _ in range(600):  # uploads run beside the training
                    if open_store(URI).stat("config.yaml") is not None:
                        break
                    time.sleep(0.1)
                s3.fail(denied, times=10**6)
            return True

    config = tiny_config(tmp_path, overrides=REMOTE)
    with (
        caplog.at_level(logging.ERROR),
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(StorageError, match=r"'s3://bucket/runs/tiny/a' could not be brought up"),
    ):
        patch.setattr("roboyard.runs.ownership.CLOSE_S", 0.5)
        train(config, run_id="a", callbacks=[FailAt()])
    s3.heal()
    status = json.loads((work_folder(URI) / "status.json").read_text())
    assert (status["state"], status["step"]) == ("finished", 192)
    row = rows(work_folder(URI) / "metrics.jsonl", timeless=False)[-1]
    assert row["checkpoint/age_s"] >= 0
    again = train(config, resume_from=URI)
    assert again.steps == 192
    assert find_run(open_store(URI)).state == "finished"


@pytest.mark.parametrize(
    ("given", "in_time_s", "late_s"),
    [({}, 300.0, 400.0), ({"every_minutes": 10}, 1700.0, 1900.0), ({"every_steps": 9}, 1e6, None)],
    ids=["by cost", "by time", "by steps"],
)
def test_a_checkpoint_is_late_only_by_the_interval_that_is_aimed_at(
    given: dict[str, float],
    in_time_s: float,
    late_s: float | None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config, stop = tiny_config(tmp_path), StopRequest()
    checkpoints = CheckpointCallback(
        CheckpointStore(tmp_path / "c", CheckpointSubject("PPO", "x")),
        CheckpointSchedule(CheckpointConfig.model_validate(given)),
        stop,
    )
    with drive_new(config, "a") as custody:
        delivery = UploadCallback(custody, checkpoints, None, stop)
        started = checkpoints.written
        checkpoints.written = delivery._seen = started - in_time_s
        delivery.on_boundary(Boundary(100, final=False))
        assert not caplog.records
        if late_s is not None:
            checkpoints.written = delivery._seen = started - late_s
            delivery.on_boundary(Boundary(200, final=False))
            assert "THE NEWEST SAFE CHECKPOINT IS" in caplog.text


def test_a_run_in_a_bucket_is_not_started_twice(s3: FaultyS3, tmp_path: Path) -> None:
    open_store(URI).put("config.yaml", b"name: tiny")
    with pytest.raises(ConfigError, match=r"'s3://bucket/runs/tiny/a' exists .*--resume"):
        train(tiny_config(tmp_path, overrides=REMOTE), run_id="a")


def test_what_is_no_run_is_not_continued(s3: FaultyS3, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'s3://bucket/runs/tiny/a' is not a run: it has no"):
        config_of(URI)
    with pytest.raises(ConfigError, match="is not a run"):
        train(tiny_config(tmp_path), resume_from=URI)
    with pytest.raises(ConfigError, match="no run of 'tiny' in 's3://bucket/runs' to continue"):
        newest_run(tiny_config(tmp_path, overrides=REMOTE))


def test_of_two_processes_on_one_run_the_second_leaves(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    begun, go_on, states = threading.Event(), threading.Event(), []
    first = threading.Thread(
        target=lambda: states.append(
            train(config, run_id="a", callbacks=[Pause(begun, go_on)]).state
        )
    )
    first.start()
    assert begun.wait(60)
    run = tmp_path / "tiny" / "a"
    message = rf"'{run}' is being driven by process {os.getpid()} on .* Stop that process first"
    with pytest.raises(LeaseHeldError, match=message):
        train(config, resume_from=run)
    assert find_run(open_store(str(run))).state == "running"
    go_on.set()
    first.join()
    assert states == ["finished"]


def test_the_lease_of_a_killed_process_is_taken_over_at_once_and_runs_tell_that_it_died(
    tmp_path: Path,
) -> None:
    config = tiny_config(tmp_path)
    train_killed(config, 100)
    run = tmp_path / "tiny" / "a"
    summary = find_run(open_store(str(run)))
    assert summary.state == "lost"
    assert "has ended; --resume continues it" in summary.reason
    assert train(config, resume_from=run).state == "finished"
    assert find_run(open_store(str(run))).epoch == 2


def test_who_lost_the_lease_stops_and_leaves_the_status_to_the_new_driver(tmp_path: Path) -> None:
    run = tmp_path / "tiny" / "a"

    class TakeOver(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps == 50:
                lease = json.loads((run / "lease.json").read_text())
                lease |= {"epoch": lease["epoch"] + 1, "nonce": "other"}
                (run / "lease.json").write_text(json.dumps(lease))
                (run / "status.json").write_text('{"state": "running", "step": 7}')
                with pytest.raises(LeaseLostError):
                    custody[0]._lease.renew()
            return True

    custody = []
    from roboyard.training import trainer

    original = trainer.RunOwnership.__enter__

    def remember(self: object) -> object:
        custody.append(self)
        return original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.RunOwnership, "__enter__", remember)
        with pytest.raises(LeaseLostError, match="was taken over"):
            train(tiny_config(tmp_path), run_id="a", callbacks=[TakeOver()])
    assert json.loads((run / "status.json").read_text())["step"] == 7
