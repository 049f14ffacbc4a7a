"""A replay buffer moves to another machine by the run's URI alone."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from training_runs import SignalAt, fingerprint, tiny_config, train

from roboyard.runs.audit import verify_run
from roboyard.runs.resume import config_of
from roboyard.storage import open_store
from roboyard.testing.faulty_s3 import Fault, FaultyS3

URI = "s3://bucket/runs/tiny/a"


def test_off_policy_run_goes_on_elsewhere_exactly_with_a_store_that_stumbles(
    s3: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tiny_config(tmp_path, "SAC"), run_id="whole").run_dir
    s3.fail(Fault("PUT", status=503, code="SlowDown"), times=3, after=5)
    s3.fail(Fault("PUT", match="MANIFEST", cut=True), times=1)
    config = tiny_config(tmp_path, "SAC", ("store=s3://bucket/runs",))
    stopped = train(config, run_id="a", callbacks=[SignalAt(100, signal.SIGTERM)])
    assert (stopped.state, stopped.uri) == ("interrupted", URI)
    assert verify_run(open_store(URI)).problems == ()
    monkeypatch.setenv("ROBOYARD_CACHE", str(tmp_path / "another-machine"))
    moved = train(config_of(URI), resume_from=URI)
    assert fingerprint(moved.run_dir) == fingerprint(whole)
    audit = verify_run(open_store(URI))
    assert audit.problems == ()
    assert audit.checkpoints[0] == f"checkpoints/{192:012d}"
