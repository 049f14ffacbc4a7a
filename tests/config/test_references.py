"""What ``${env:...}`` stands for is used, and never written."""

from __future__ import annotations

import logging

import pytest

from roboyard.config.load import as_written, load, to_dict, to_yaml
from roboyard.config.references import resolved
from roboyard.errors import ConfigError
from roboyard.text import ShownFormatter

TEXT = """
name: ${env:DOOR_NAME}
store: ${env:DOOR_STORE:-runs}
env:
  id: roboyard/SimpleRobot-v0
  kwargs: {token: "Bearer ${env:DOOR_TOKEN}", pin: "${env:DOOR_PIN}", shown: "$${env:LITERAL}"}
agent: {algorithm: "${env:DOOR_ALGORITHM:-PPO}"}
train: {total_steps: "${env:DOOR_STEPS:-100}"}
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("DOOR_NAME", "mine")
    monkeypatch.setenv("DOOR_TOKEN", "s3cr3t-t0k3n")
    monkeypatch.setenv("DOOR_PIN", "8642097531")
    path = tmp_path / "config.yaml"
    path.write_text(TEXT)
    return path


def test_the_record_holds_the_value_and_what_is_written_the_reference(file):
    config = load(file)
    assert config.env.kwargs == {
        "token": "Bearer s3cr3t-t0k3n", "pin": 8642097531, "shown": "${env:LITERAL}",
    }  # fmt: skip
    text = to_yaml(config)
    assert "s3cr3t" not in text and "8642097531" not in text
    assert as_written(config)["env"]["kwargs"] == {
        "token": "Bearer ${env:DOOR_TOKEN}", "pin": "${env:DOOR_PIN}", "shown": "$${env:LITERAL}",
    }  # fmt: skip


def test_what_is_written_reads_back_to_the_same_config(file, tmp_path):
    config = load(file)
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(config))
    assert to_dict(load(again)) == to_dict(config)
    assert resolved(type(config).model_validate(as_written(config))).env == config.env


def test_names_and_numbers_of_a_run_are_written_as_values(file):
    written = as_written(load(file))
    assert written["name"] == "mine"
    assert written["agent"]["algorithm"] == "PPO"
    assert written["train"]["total_steps"] == 100
    assert written["store"] == "${env:DOOR_STORE:-runs}"


def test_a_value_that_was_edited_since_is_written(file):
    config = load(file)
    env = config.env.model_copy(update={"kwargs": {"token": "other"}})
    assert as_written(config.model_copy(update={"env": env}))["env"]["kwargs"]["token"] == "other"


def test_an_override_keeps_its_reference(file):
    config = load(file, ["env.kwargs.more=${env:DOOR_TOKEN}"])
    assert config.env.kwargs["more"] == "s3cr3t-t0k3n"
    assert "s3cr3t" not in to_yaml(config)


def test_a_missing_variable_is_named_with_its_field(file, monkeypatch):
    config = load(file)
    read_back = type(config).model_validate(as_written(config))
    monkeypatch.delenv("DOOR_TOKEN")
    with pytest.raises(ConfigError, match=r"env\.kwargs\.token: .*DOOR_TOKEN is not set"):
        resolved(read_back.env, "env")


def test_messages_and_logs_hold_the_reference(file):
    load(file)
    assert str(ConfigError("cannot: s3cr3t-t0k3n")) == "cannot: ${env:DOOR_TOKEN}"
    record = logging.makeLogRecord({"msg": "got %s", "args": ("s3cr3t-t0k3n",)})
    assert ShownFormatter("%(message)s").format(record) == "got ${env:DOOR_TOKEN}"
