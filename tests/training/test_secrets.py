"""A run that is given a secret keeps it: no byte of what it writes holds it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from training_runs import run_path, tiny_config, train

from roboyard.config.load import load, to_yaml
from roboyard.errors import ConfigError
from roboyard.evaluation.policies import resolve_subject
from roboyard.runs.resume import config_of

SECRET = "s3cr3t-0f-th3-run"


class Guarded(gymnasium.Env):
    """Opens to whoever has the token."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, token: str) -> None:
        if token != SECRET:
            raise ValueError(f"wrong token {token}")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 5
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.zeros(2, np.float32), 1.0, self.left == 0, False, {}


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every file, and every member of those that are zips, decompressed."""
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        yield str(path), path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield from ((f"{path}/{name}", archive.read(name)) for name in archive.namelist())


def test_no_byte_of_a_run_holds_a_secret_and_all_that_continue_it_ask_again(tmp_path, monkeypatch):
    monkeypatch.setenv("DOOR_SECRET", SECRET)
    plain = tiny_config(tmp_path)
    file = tmp_path / "secret.yaml"
    file.write_text(to_yaml(plain))
    config = load(
        file,
        ["env={id: 'test_secrets:Guarded', workers: 0, kwargs: {token: '${env:DOOR_SECRET}'}}"],
    )
    train(config, run_id="r")
    run = run_path(config, "r")
    holding = [name for name, content in contents(run) if SECRET.encode() in content]
    assert holding == []
    assert "${env:DOOR_SECRET}" in (run / "config.yaml").read_text()
    assert resolve_subject(run).env.kwargs == {"token": SECRET}
    train(config_of(str(run), ["train.total_steps=224"]), resume_from=run)
    assert [name for name, content in contents(run) if SECRET.encode() in content] == []
    monkeypatch.delenv("DOOR_SECRET")
    for read in (resolve_subject, lambda run: config_of(str(run))):
        with pytest.raises(ConfigError, match="DOOR_SECRET is not set"):
            read(run)


def test_a_failure_that_quotes_a_secret_is_recorded_without_it(tmp_path, monkeypatch):
    wrong = "wr0ng-s3cr3t-value"
    monkeypatch.setenv("DOOR_SECRET", wrong)
    file = tmp_path / "secret.yaml"
    file.write_text(to_yaml(tiny_config(tmp_path)))
    config = load(
        file,
        ["env={id: 'test_secrets:Guarded', workers: 0, kwargs: {token: '${env:DOOR_SECRET}'}}"],
    )
    with pytest.raises(ConfigError) as caught:
        train(config, run_id="r")
    assert wrong not in str(caught.value)
    assert "${env:DOOR_SECRET}" in str(caught.value)
    held = [n for n, content in contents(run_path(config, "r")) if wrong.encode() in content]
    assert held == []
