"""A commented first config, written from the records so that it never falls behind them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast

from pydantic import BaseModel, JsonValue, ValidationError

from roboyard.config import schema
from roboyard.config.agents import BUILTIN_AGENTS, AgentBase, CustomAgent, canonical_name
from roboyard.config.algorithm_specs import find_spec
from roboyard.config.base import Record
from roboyard.config.descriptions import descriptions
from roboyard.config.interpolation import escape
from roboyard.config.messages import problem_lines
from roboyard.config.tree import Node
from roboyard.config.yaml_text import parse
from roboyard.errors import ConfigError

_HEADER = """\
# A Roboyard experiment. Lines that start with '#' show what else can be set, with its default.
#
#   roboyard config validate {file}   check it
#   roboyard train {file}             train it
#
# Editors complete the keys after 'roboyard config schema > roboyard.schema.json' and with the
# first line '# yaml-language-server: $schema=roboyard.schema.json'.
"""
_COMMENT_COLUMN = 38


def starter(file_name: str, algorithm: str, env_id: str) -> str:
    """Return the text of a commented config.

    Args:
        file_name: File that it is for; the experiment is named after it.
        algorithm: Name of an algorithm, or ``module:Class``.
        env_id: Environment id.

    Raises:
        ConfigError: The algorithm does not exist.
    """
    name = str(canonical_name(algorithm))
    record = BUILTIN_AGENTS.get(name, CustomAgent)
    try:
        agent = record.model_validate({"algorithm": name})
    except ValidationError as error:
        raise ConfigError(" ".join(problem_lines(record, Node({}), error.errors()))) from error
    spec = find_spec(name)
    is_off_policy = spec is not None and spec.kind == "off-policy"
    num_envs = 8 if spec is None or spec.kind == "on-policy" else 1
    sections: dict[str, Mapping[str, JsonValue]] = {
        "env": {"id": env_id, "num_envs": num_envs},
        "train": {"total_steps": 20_000 if is_off_policy else 150_000},
        "evaluation": {"episodes": 10},
    }
    lines = [_HEADER.format(file=file_name)]
    top: dict[str, JsonValue] = {"name": _experiment_name(file_name), "seed": 0}
    lines += _fields(schema.ExperimentConfig, top, "", skip=_nested(schema.ExperimentConfig))
    about = descriptions(schema.ExperimentConfig)
    for key, field in schema.ExperimentConfig.model_fields.items():
        if key == "agent":
            lines += ["", *_agent(agent, name, spec.starter if spec else {})]
        elif isinstance(field.annotation, type) and issubclass(field.annotation, Record):
            lines += [
                "",
                *_section(key, field.annotation, sections.get(key, {}), about.get(key)),
            ]
    return "\n".join(lines) + "\n"


def _experiment_name(file_name: str) -> str:
    stem = re.sub(r"\.ya?ml$", "", file_name.rpartition("/")[2])
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:100] or "experiment"


def _agent(agent: AgentBase, name: str, varied: Mapping[str, JsonValue]) -> Iterator[str]:
    yield "agent:"
    yield _line("  ", "algorithm", name, "Or any other of 'roboyard list algorithms'.")
    settings = agent.hyperparameters
    if isinstance(settings, Record):
        yield from _section("hyperparameters", type(settings), varied, None, "  ")
    yield from _section("network", type(agent).model_fields["network"].annotation, {}, None, "  ")


def _section(
    key: str,
    record: object,
    values: Mapping[str, JsonValue],
    about: str | None,
    indent: str = "",
) -> Iterator[str]:
    """Yield a section; one without set values is a comment as a whole."""
    if about:
        yield f"{indent}# {about}"
    yield f"{indent}{key}:" if values else f"{indent}# {key}:"
    yield from _fields(cast("type[Record]", record), values, indent + "  ", frozenset())


def _nested(record: type[Record]) -> frozenset[str]:
    """Return the fields of a record that are sections of their own, or lists."""
    return frozenset(
        name
        for name, field in record.model_fields.items()
        if field.annotation not in (str, int, float, bool)
    )


def _fields(
    record: type[Record], values: Mapping[str, JsonValue], indent: str, skip: frozenset[str]
) -> Iterator[str]:
    for name, field in record.model_fields.items():
        if name in skip:
            continue
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            default = default.model_dump(mode="json")
        is_set = name in values
        value = values[name] if is_set else default
        about = " ".join(descriptions(record).get(name, "").split()).replace("``", "'")
        yield _line(indent if is_set else f"{indent}# ", name, value, about)


def _line(indent: str, key: str, value: JsonValue, about: str) -> str:
    text = f"{indent}{key}: {_flow(value)}"
    return f"{text:<{_COMMENT_COLUMN}}  # {about}" if about else text


def _flow(value: JsonValue) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, str):
        is_plain = re.fullmatch(r"[A-Za-z][\w/.-]*", value) and parse(value, "").value == value
        return value if is_plain else json.dumps(escape(value), ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
