"""Notices are heard, and what is left of the time is used well."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from stable_baselines3.common.callbacks import BaseCallback
from training_runs import fingerprint, tiny_config, train

from roboyard.cloud.rehearsal.metadata_service import MetadataService
from roboyard.config.load import load
from roboyard.config.schema import PreemptionConfig
from roboyard.errors import ConfigError
from roboyard.runs import preemption
from roboyard.runs.directory import RunDirectory
from roboyard.runs.preemption import (
    FileSource,
    MetadataSource,
    Notice,
    PreemptionWatcher,
    make_sources,
)

POLL = "poll_seconds: 0.01"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[MetadataService]:
    with MetadataService() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


class NoticeAt(BaseCallback):
    """Lets a notice appear at a step, and waits until the run has heard it."""

    def __init__(self, step: int, announce: object) -> None:
        super().__init__()
        self._step = step
        self._announce = announce
        self.stop = None

    def _on_step(self) -> bool:
        if self.num_timesteps == self._step:
            heard = threading.Event()
            self.heard = heard
            self._announce()
            stop_request = _stop_request(self)
            for _ in range(500):
                if stop_request.notice is not None or stop_request.early:
                    break
                heard.wait(0.01)
            else:
                raise AssertionError("the notice was not heard")
        return True


def _stop_request(callback: BaseCallback) -> object:
    return callback.locals["callback"]._stop


def test_a_quiet_instance_gives_no_notice(service: MetadataService) -> None:
    source = MetadataSource()
    assert source.look() is None
    assert service.requests[0] == "PUT /latest/api/token"
    assert source.look() is None
    assert sum(line.startswith("PUT") for line in service.requests) == 1


def test_an_interruption_says_how_much_time_is_left(service: MetadataService) -> None:
    service.interrupt(seconds=120)
    notice = MetadataSource().look()
    assert notice.reason == "the instance is to terminate"
    assert 110 < notice.seconds_left <= 120
    assert not notice.only_a_risk


def test_a_rebalance_recommendation_is_only_a_risk(service: MetadataService) -> None:
    service.recommend_rebalance()
    assert MetadataSource().look().only_a_risk


def test_a_token_that_ran_out_is_renewed(service: MetadataService) -> None:
    source = MetadataSource()
    source.look()
    service.expire_tokens()
    service.interrupt()
    assert source.look() is not None


def test_a_file_is_a_notice_and_may_hold_the_seconds(tmp_path: Path) -> None:
    path = tmp_path / "PREEMPT"
    source = FileSource(path, 30.0)
    assert source.look() is None
    path.touch()
    assert source.look() == Notice(f"file '{path}' appeared", 30.0)
    path.write_text("12.5\n")
    assert source.look().seconds_left == 12.5


def test_a_file_may_be_seen_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "PREEMPT"
    path.touch()
    monkeypatch.setattr(preemption.time, "sleep", lambda _: path.write_text("12.5"))
    assert FileSource(path).look().seconds_left == 12.5


def test_the_watcher_tells_a_risk_once_and_then_the_interruption(service: MetadataService) -> None:
    heard, done = [], threading.Event()

    def notify(notice: Notice) -> None:
        heard.append(notice.only_a_risk)
        if notice.only_a_risk:
            service.interrupt()
        else:
            done.set()

    service.recommend_rebalance()
    with PreemptionWatcher([MetadataSource()], notify, poll_s=0.01):
        assert done.wait(10)
    assert heard == [True, False]


def test_a_service_that_is_out_of_reach_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    class Absent:
        looks = 0

        def look(self) -> None:
            self.looks += 1
            if self.looks == 10:
                reached.set()
            raise OSError("no route to host")

    reached = threading.Event()
    with PreemptionWatcher([Absent()], print, poll_s=0.001):
        assert reached.wait(10)
    assert caplog.text.count("the run goes on, and they are looked for again") == 1


def test_a_place_that_works_does_not_hide_one_that_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    absent = MetadataSource("http://127.0.0.1:9")  # nothing listens there
    file = tmp_path / "PREEMPT"
    heard: list[Notice] = []
    watcher = PreemptionWatcher([absent, FileSource(file)], heard.append)
    for _ in range(7):
        watcher._look()
    assert caplog.text.count("cannot be looked for") == 1
    assert "remove 'imds' from preemption.watch" in caplog.text
    file.touch()
    assert watcher._look()
    assert [notice.reason for notice in heard] == [f"file '{file}' appeared"]


def test_a_file_in_any_encoding_is_a_notice(tmp_path: Path) -> None:
    path = tmp_path / "PREEMPT"
    path.write_bytes(b"\xff\xfe1\x002\x00")
    assert FileSource(path, 30.0).look() == Notice(f"file '{path}' appeared", 30.0)


@pytest.mark.parametrize("answer", [b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: 1", b"\xff"])
def test_a_service_that_answers_nonsense_does_not_end_the_watch(
    answer: bytes, tmp_path: Path
) -> None:
    """It may be another server's port, and the notice may come from somewhere else."""
    heard, looked = threading.Event(), threading.Semaphore(0)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    with peer:
                        peer.recv(1000)
                        peer.sendall(answer)
                    looked.release()

        threading.Thread(target=speak, daemon=True).start()
        sources = [MetadataSource(f"http://127.0.0.1:{server.getsockname()[1]}")]
        sources.append(FileSource(tmp_path / "PREEMPT"))
        with PreemptionWatcher(sources, lambda _: heard.set(), poll_s=0.01):
            assert looked.acquire(timeout=10)
            assert looked.acquire(timeout=10), "it was asked only once"
            (tmp_path / "PREEMPT").write_text("5")
            assert heard.wait(10)
        server.shutdown(socket.SHUT_RDWR)


def test_a_fault_of_whoever_is_told_does_not_end_the_watch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "PREEMPT").write_text("5")
    told = threading.Event()

    def notify(notice: Notice) -> None:
        if "cannot be looked for" not in caplog.text:
            raise RuntimeError("odd")
        told.set()

    with PreemptionWatcher([FileSource(tmp_path / "PREEMPT")], notify, poll_s=0.01):
        assert told.wait(10)
    assert "RuntimeError: odd" in caplog.text


def test_the_config_names_the_sources(tmp_path: Path) -> None:
    assert make_sources(PreemptionConfig()) == []
    both = PreemptionConfig(watch=("imds", "file"), file="x")
    assert [type(source) for source in make_sources(both)] == [MetadataSource, FileSource]
    with pytest.raises(ConfigError, match="file: NAME"):
        load(tiny_config(tmp_path).model_dump() | {"preemption": {"watch": ["file"]}})


def test_a_notice_stops_the_run_with_a_checkpoint(service: MetadataService, tmp_path: Path) -> None:
    config = tiny_config(tmp_path, overrides=(f"preemption={{watch: [imds], {POLL}}}",))
    result = train(config, run_id="a", callbacks=[NoticeAt(70, service.interrupt)])
    assert (result.state, result.steps) == ("interrupted", 96)
    assert result.reason == "preemption notice: the instance is to terminate"
    assert RunDirectory(result.run_dir).read_status().last_checkpoint == 96


def test_a_deadline_that_cannot_be_met_lets_the_last_checkpoint_stand(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trigger = tmp_path / "PREEMPT"
    watch = f"preemption={{watch: [file], file: {trigger}, {POLL}}}"
    config = tiny_config(tmp_path, overrides=(watch,))
    announce = lambda: trigger.write_text("0.001")  # noqa: E731
    result = train(config, run_id="a", callbacks=[NoticeAt(70, announce)])
    assert result.state == "interrupted"
    assert 70 <= result.steps < 96
    status = RunDirectory(result.run_dir).read_status()
    assert status.last_checkpoint == 64
    assert "the checkpoint of step 64 stands" in caplog.text
    trigger.unlink()
    whole = train(tiny_config(tmp_path), run_id="whole").run_dir
    assert fingerprint(train(config, resume_from=result.run_dir).run_dir) == fingerprint(whole)


def test_a_risk_brings_an_early_checkpoint_and_the_run_goes_on(
    service: MetadataService, tmp_path: Path
) -> None:
    overrides = (f"preemption={{watch: [imds], {POLL}}}", "checkpoint.every_steps=1000")
    config = tiny_config(tmp_path, overrides=overrides)
    result = train(config, run_id="a", callbacks=[NoticeAt(70, service.recommend_rebalance)])
    assert result.state == "finished"
    steps = sorted(int(path.name) for path in (result.run_dir / "checkpoints").iterdir())
    assert steps == [96, 192]
