"""The door: every field of a config that could name code or a file, by a walk over the schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from roboyard.config.base import Record
from roboyard.config.load import load
from roboyard.config.schema import ExperimentConfig
from roboyard.config.trust import UntrustedError, admitted, findings, use_of
from roboyard.config.uses import Use

HOSTILE = (
    "this:Zen",
    "os:system",
    "a.b:Name-v0",
    "package:os/x.urdf",
    "pybullet_data:../../../etc/passwd",
    "pybullet_data:/etc/passwd",
    "/etc/passwd",
    "~/.ssh/id_rsa",
    "../up.urdf",
    "\\\\host\\share",
    "x.yaml",
    "${env:HOME}",
)
ONLY_SHOWN = {
    "name", "env.task.description", "env.task.robot.description",
    "env.task.robot.body", "env.task.robot.base_link", "env.task.robot.feet",
    "env.task.robot.ignored_joints", "env.task.robot.joint_positions", "env.task.robot.links",
    "env.task.robot.joints", "env.task.robot.actuators.joints", "env.task.robot.actuators.link",
    "env.task.robot.actuators.scale", "env.task.robot.actuators.offset",
    "env.task.robot.actuators.stiffness", "env.task.robot.actuators.damping",
    "env.task.robot.actuators.effort_limit", "env.task.robot.actuators.velocity_limit",
    "env.task.objects.link", "env.task.objects.marks", "env.task.observations.group",
    "env.task.curricula.target", "env.task.curricula.measure",
    "env.task.robot.actuators.links", "env.task.robot.actuators.points",
    "env.task.robot.actuators.thrust_coefficient", "env.task.robot.actuators.moment_ratio",
}  # fmt: skip
"""Texts that nothing looks up: shown, or compared with names in a robot's description."""
ONLY_THE_TRAINERS = {"store", "preemption.file"}
"""Places that only whoever trains goes to: no reader of a bundle opens them."""


def records_in(annotation: object) -> Iterator[type[Record]]:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        yield annotation
    for part in get_args(annotation):
        yield from records_in(part)


def holds_text(annotation: object) -> bool:
    """Return whether a text of anybody's choice may stand there; Literals are no choice."""
    if annotation is str or annotation is Any or "JsonValue" in repr(annotation):
        return True
    assert annotation not in (object, bytes, Path), f"{annotation} has no place in a config"
    is_choice = "Literal" in type(annotation).__name__ or repr(annotation).startswith(
        "typing.Literal"
    )
    return not is_choice and any(holds_text(part) for part in get_args(annotation))


def fields(record: type[Record], path: str = "") -> Iterator[tuple[str, type[Record], str]]:
    for name, field in record.model_fields.items():
        place = f"{path}{name}"
        if holds_text(field.annotation):
            yield place, record, name
        for below in records_in(field.annotation):
            yield from fields(below, f"{place}.")


FIELDS = sorted(set(fields(ExperimentConfig)), key=lambda item: (item[0], item[1].__name__))


def mark(record: type[Record], name: str) -> Use | None:
    field = record.model_fields[name]
    return use_of(field.annotation, field.metadata)


def test_the_walk_reaches_the_whole_schema():
    places = {place for place, _, _ in FIELDS}
    assert {
        "env.id", "env.kwargs", "env.task.robot", "env.task.robot.file", "env.task.objects.file",
        "env.task.rewards.term", "env.task.rewards.params", "env.task.events.term",
        "agent.algorithm", "agent.hyperparameters", "agent.network.activation",
        "agent.network.extractor.type", "agent.network.extractor.kwargs", "callbacks.entry",
        "callbacks.kwargs",
    } <= places  # fmt: skip
    assert len(FIELDS) >= 50


def test_every_field_that_may_hold_anything_is_argued_for():
    free = {place for place, record, name in FIELDS if mark(record, name) is Use.TEXT}
    assert {place for place in free if "." not in place or place in ONLY_SHOWN} == free
    assert free == ONLY_SHOWN & free
    places = {place for place, record, name in FIELDS if mark(record, name) is Use.PLACE}
    assert places == ONLY_THE_TRAINERS


@pytest.mark.parametrize(("place", "record", "name"), FIELDS, ids=[item[0] for item in FIELDS])
def test_a_field_names_no_code_and_no_file_unless_it_is_only_shown(place, record, name):
    use = mark(record, name)
    for text in HOSTILE:
        if use in (Use.TEXT, Use.PLACE) or (use is Use.CODE and ":" not in text):
            continue  # A path is no name of code: it is looked up in a table, and not found.
        for value in (text, (text,), {"key": [text]}, {text: 1}):
            held = record.model_construct(**{name: value})
            found = [f for f in findings(held, where="x") if f.field.startswith(f"x.{name}")]
            assert found, f"{place} may hold {value!r}"


def config(**changes: Any) -> ExperimentConfig:
    base: dict[str, Any] = {
        "name": "a",
        "env": {"id": "roboyard/SimpleRobot-v0"},
        "agent": {"algorithm": "PPO"},
        "train": {"total_steps": 1},
    }
    return load(base | changes)


@pytest.mark.parametrize(
    "env",
    [
        {"id": "os:system"},
        {"id": "antigravity:Fly-v0"},
        {"id": "a.b:roboyard/SimpleRobot-v0"},
        {"id": "Pendulum-v1", "kwargs": {"a": {"b": ["subprocess:run"]}}},
        {"id": "Pendulum-v1", "kwargs": {"this:Zen": 1}},
        {"id": "roboyard/Task-v0", "kwargs": {"task": "evil.yaml"}},
        {"id": "roboyard/Task-v0", "kwargs": {"task": {"extends": "evil"}}},
    ],
)
def test_an_environment_of_a_stranger_is_refused_by_field(env):
    with pytest.raises(UntrustedError, match=r"env\.(id|kwargs).*--trust-code"):
        admitted(config(env=env).env, "policy.zip", trusted=False, where="env")
    assert admitted(config(env=env).env, "policy.zip", trusted=True, where="env").id == env["id"]


def test_names_of_gymnasium_of_ours_and_of_torch_need_no_trust():
    for name in ("Pendulum-v1", "ALE/Pong-v5", "roboyard/SimpleRobot-v0", "ant-run"):
        admitted(config(env={"id": name}).env, "policy.zip", trusted=False)
    agent = {"algorithm": "PPO", "network": {"activation": "torch.nn:Softplus"}}
    admitted(config(agent=agent).agent, "policy.zip", trusted=False)


@pytest.mark.parametrize("name", ["torch.nnx:Softplus", "torch.nn.x:Y", "roboyard.__main__:main"])
def test_a_module_that_only_looks_like_ours_is_refused(name):
    agent = config(agent={"algorithm": "PPO", "network": {"activation": name}}).agent
    with pytest.raises(UntrustedError, match=r"agent\.network\.activation"):
        admitted(agent, "policy.zip", trusted=False, where="agent")


def test_the_whole_record_counts():
    hooked = config(callbacks=[{"entry": "this:Zen"}])
    with pytest.raises(UntrustedError, match=r"callbacks\.0\.entry: 'this:Zen'"):
        admitted(hooked, "policy.zip", trusted=False)
