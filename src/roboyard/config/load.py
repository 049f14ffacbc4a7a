"""From YAML to a checked ``ExperimentConfig``, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from pydantic import JsonValue, ValidationError

from roboyard.config.files import extended, read_file
from roboyard.config.messages import problem_lines
from roboyard.config.overrides import overridden
from roboyard.config.schema import ExperimentConfig
from roboyard.config.tree import Node, from_python
from roboyard.config.yaml_text import dump
from roboyard.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_Container: TypeAlias = dict[int | str, JsonValue]
"""A mapping, or a list, which is indexed alike."""


def load(
    source: str | Path | Mapping[str, object], overrides: Sequence[str] = ()
) -> ExperimentConfig:
    """Return the experiment that a YAML file or a mapping describes.

    Args:
        source: Path of a YAML file, or its content as a mapping.
        overrides: Texts such as ``"train.total_steps=1000"``; the right side is YAML.

    Raises:
        ConfigError: Something is wrong; the message has one line for each problem, with file,
            line, key, what was given and what is allowed.
    """
    if isinstance(source, Mapping):
        root = extended(from_python(source), Path())
    else:
        root = read_file(Path(source))
    return _checked(overridden(root, overrides))


def _checked(root: Node) -> ExperimentConfig:
    """Return ``root`` as a config, or raise with all that is wrong with it.

    The check is strict (no text for a number, no number for a flag), which pydantic offers for
    lists and nested records only when it reads JSON.
    """
    data = root.plain()
    try:
        return _validated(data)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    if _made_integral(data, errors):
        try:
            return _validated(data)
        except ValidationError as error:
            errors = error.errors(include_url=False)
    raise ConfigError("\n".join(problem_lines(ExperimentConfig, root, errors)))


def _validated(data: JsonValue) -> ExperimentConfig:
    return ExperimentConfig.model_validate_json(json.dumps(data), strict=True)


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


def to_dict(config: ExperimentConfig) -> dict[str, JsonValue]:
    """Return the config with every default filled in, as values that JSON can hold."""
    return config.model_dump(mode="json")


def to_yaml(config: ExperimentConfig) -> str:
    """Return the config with every default filled in, as YAML that ``load`` reads back."""
    return dump(to_dict(config))
