"""From YAML to a checked ``ExperimentConfig``, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from roboyard.config.editor import json_schema
from roboyard.config.files import extended, read_file
from roboyard.config.overrides import overridden
from roboyard.config.references import as_written, keep_references
from roboyard.config.schema import ExperimentConfig
from roboyard.config.task_files import with_task
from roboyard.config.tree import Node, from_python
from roboyard.config.validation import checked
from roboyard.config.yaml_text import dump, parse

__all__ = ["as_written", "json_schema", "load", "load_written", "to_dict", "to_yaml"]


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
    return _completed(root, overrides)


def load_written(value: Mapping[str, JsonValue], overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Return the config that :func:`as_written` made the mapping of, with references filled in.

    Raises:
        ConfigError: Something is wrong, such as a variable that is not set here.
    """
    return _completed(parse(dump(dict(value), is_escaped=True), ""), overrides)


def _completed(root: Node, overrides: Sequence[str]) -> ExperimentConfig:
    # Twice: overrides reach into a task's file, and may name another.
    root = with_task(overridden(with_task(root), overrides))
    config = checked(ExperimentConfig, root)
    keep_references(config, root)
    return config


def to_dict(config: ExperimentConfig) -> dict[str, JsonValue]:
    """Return the config with every default filled in, as values that JSON can hold.

    Values from environment variables stand in it as they are: it is not meant to be written.
    """
    return config.model_dump(mode="json")


def to_yaml(config: ExperimentConfig) -> str:
    """Return the config with every default filled in, as YAML that ``load`` reads back.

    What came from an environment variable is written as the reference to it.
    """
    return dump(as_written(config), is_escaped=True)
