"""From a YAML file or a mapping to any record: robots and tasks are read by this."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue, ValidationError

from roboyard.config.base import Record
from roboyard.config.files import extended, read_file
from roboyard.config.messages import problem_lines
from roboyard.config.tree import Node, from_python, merged
from roboyard.errors import ConfigError

R = TypeVar("R", bound=Record)


def read_node(source: Path | Mapping[str, object]) -> Node:
    """Return a YAML file, or a mapping, laid over the files that its ``extends`` names.

    Raises:
        ConfigError: It cannot be read, or is not a YAML mapping.
    """
    if isinstance(source, Mapping):
        return extended(from_python(source), Path())
    return read_file(source)


def read_record(
    record: type[R],
    source: Path | Mapping[str, object] | Node,
    changes: Mapping[str, object] | None = None,
) -> R:
    """Return what ``source`` describes, with ``changes`` laid over it.

    Args:
        record: Record that it is.
        source: YAML file, mapping, or node.
        changes: Nested mapping; its mappings are merged key by key, other values replace.

    Raises:
        ConfigError: Something is wrong; the message has one line for each problem.
    """
    node = source if isinstance(source, Node) else read_node(source)
    if changes:
        node = merged(node, from_python(changes))
    return check_record(record, node)


def check_record(record: type[R], node: Node) -> R:
    """Return ``node`` as a record; the check is strict, as it is for experiments.

    Raises:
        ConfigError: Something is wrong; the message has one line for each problem.
    """
    data: JsonValue = node.plain()
    try:
        return record.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        lines = problem_lines(record, node, error.errors(include_url=False))
    raise ConfigError("\n".join(lines))
