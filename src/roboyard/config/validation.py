"""From a node to any record, strictly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from pydantic import JsonValue, ValidationError

from roboyard.config.base import Record
from roboyard.config.messages import problem_lines
from roboyard.config.tree import Node
from roboyard.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

R = TypeVar("R", bound=Record)

_Container: TypeAlias = dict[int | str, JsonValue]
"""A mapping, or a list, which is indexed alike."""


def checked(record: type[R], root: Node) -> R:
    """Return ``root`` as a record.

    The check is strict (no text for a number, no number for a flag), which pydantic offers for
    lists and nested records only when it reads JSON. A whole float such as ``3e5`` is an integer
    where only an integer fits.

    Raises:
        ConfigError: Something is wrong; the message has one line for each problem.
    """
    data = root.plain()
    try:
        return _validated(record, data)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    if _made_integral(data, errors):
        try:
            return _validated(record, data)
        except ValidationError as error:
            errors = error.errors(include_url=False)
    raise ConfigError("\n".join(problem_lines(record, root, errors)))


def _validated(record: type[R], data: JsonValue) -> R:
    return record.model_validate_json(json.dumps(data), strict=True)


def _made_integral(data: JsonValue, errors: Sequence[ErrorDetails]) -> bool:
    """Turn whole floats such as ``3e5`` into integers where only an integer fits."""
    changed = False
    for error in errors:
        value = error["input"]
        if error["type"] != "int_type" or not isinstance(value, float) or value % 1:
            continue
        _replace(data, error["loc"], int(value))
        changed = True
    return changed


def _replace(data: JsonValue, location: tuple[int | str, ...], value: int) -> None:
    """Put ``value`` at ``location``, whose union tags lead nowhere."""
    slots: list[tuple[_Container, int | str]] = []
    for step in location:
        if (isinstance(data, dict) and step in data) or (
            isinstance(data, list) and step in range(len(data))
        ):
            slots.append((cast("_Container", data), step))
            data = slots[-1][0][step]
    holder, key = slots[-1]
    holder[key] = value
