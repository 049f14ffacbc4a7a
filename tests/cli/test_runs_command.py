"""``roboyard runs``, as a user runs it, on a folder and on a bucket."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roboyard.cli.runs import app
from roboyard.errors import StorageError
from roboyard.storage import open_store
from roboyard.testing.faulty_s3 import FaultyS3

runner = CliRunner()


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyS3]:
    with FaultyS3("bucket") as server:
        yield server


@pytest.fixture(params=["folder", "bucket"])
def uri(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a store that holds one interrupted run, ``ant/r1``."""
    monkeypatch.chdir(tmp_path)
    uri = str(tmp_path / "store")
    if request.param == "bucket":
        server: FaultyS3 = request.getfixturevalue("server")
        server.reset()
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        uri = "s3://bucket/prefix"
    store = open_store(uri)
    status = {"state": "interrupted", "step": 2000, "reason": "SIGTERM", "host": "h", "pid": 7}
    store.put("ant/r1/config.yaml", b"name: ant")
    store.put("ant/r1/status.json", json.dumps(status).encode())
    for step in (1000, 2000):
        facts = {"bytes": 4, "sha256": hashlib.sha256(b"data").hexdigest()}
        folder = f"ant/r1/checkpoints/{step:012d}"
        store.put(f"{folder}/part", b"data")
        store.put(f"{folder}/MANIFEST.json", json.dumps({"files": {"part": facts}}).encode())
    return uri


def run(*arguments: str | Path, code: int = 0) -> str:
    result = runner.invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def test_list_shows_each_run_in_one_line(uri: str) -> None:
    line = run("list", uri).splitlines()[1].split()
    assert line[:4] == ["ant/r1", "interrupted", "2,000", "2,000"]
    assert json.loads(run("list", uri, "--json"))[0]["checkpoints"] == [2000, 1000]


def test_list_of_an_empty_store_says_so(tmp_path: Path) -> None:
    assert f"no runs in {tmp_path}" in run("list", tmp_path)


def test_show_says_why_a_run_stopped_and_who_drove_it(uri: str) -> None:
    shown = run("show", f"{uri}/ant/r1")
    assert "interrupted (SIGTERM)" in shown
    assert "2,000, 1,000" in shown
    assert "process 7 on 'h'" in shown
    assert json.loads(run("show", f"{uri}/ant/r1", "--json"))["step"] == 2000


def test_show_of_nothing_names_it(uri: str) -> None:
    with pytest.raises(StorageError, match="ant/r9' is no run"):
        run("show", f"{uri}/ant/r9")


def test_pull_needs_only_the_uri(uri: str) -> None:
    assert "runs/ant/r1: 4 files" in (said := run("pull", f"{uri}/ant/r1"))
    assert "checkpoint at step 2,000" in said
    folder = Path("runs/ant/r1")
    assert (folder / "checkpoints" / "000000002000" / "part").read_bytes() == b"data"
    assert not (folder / "checkpoints" / "000000001000").exists()
    assert "problems: 0; intact checkpoints: 2" in run("verify", f"{uri}/ant/r1")
    run("pull", f"{uri}/ant/r1", "elsewhere", "--checkpoints", "all")
    assert Path("elsewhere/checkpoints/000000001000/part").exists()


def test_a_damaged_checkpoint_is_reported_by_verify_and_skipped_by_pull(uri: str) -> None:
    store = open_store(uri)
    store.put("ant/r1/checkpoints/000000002000/part", b"dat4")
    said = run("verify", f"{uri}/ant/r1", code=1)
    assert "checkpoints/000000002000/part: was altered" in said
    assert "problems: 1; intact checkpoints: 1, the newest at step 1,000" in said
    said = run("pull", f"{uri}/ant/r1")
    assert "warning: skipped checkpoints/000000002000" in said
    assert "checkpoint at step 1,000" in said


def test_remains_of_an_upload_are_noted_and_are_no_damage(uri: str) -> None:
    open_store(uri).put("ant/r1/checkpoints/000000003000/part", b"da")
    said = run("verify", f"{uri}/ant/r1")
    assert "note: checkpoints/000000003000 was never finished" in said
    assert "problems: 0; intact checkpoints: 2, the newest at step 2,000" in said


def test_prune_asks_before_it_removes(uri: str) -> None:
    assert "add --yes to remove it" in run("prune", uri)
    assert json.loads(run("list", uri, "--json"))[0]["checkpoints"] == [2000, 1000]
    assert "ant/r1: checkpoints/000000001000" in run("prune", uri, "--yes")
    assert json.loads(run("list", uri, "--json"))[0]["checkpoints"] == [2000]


def test_a_running_run_is_left_alone(uri: str) -> None:
    status = {"state": "running", "step": 1, "host": "h", "pid": 7}
    open_store(uri).put("ant/r1/status.json", json.dumps(status).encode())
    assert "ant/r1: left alone, it is running" in run("prune", uri, "--yes")
    assert json.loads(run("list", uri, "--json"))[0]["checkpoints"] == [2000, 1000]
