"""References to environment variables: kept where a config is written, filled in where it is used.

What ``${env:TOKEN}`` stands for may be a secret. So the record in memory holds the value, and
whatever is written, the run's ``config.yaml`` and its bundles, holds the reference. Names and
numbers that say which run it is (``name``, ``env.id``, the algorithm, ``train.total_steps``) are
written as values: without them a run could be neither found nor repeated.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from pydantic import JsonValue, ValidationError

from roboyard.config.base import Record
from roboyard.config.interpolation import escaped, is_interpolated, variables_in
from roboyard.config.tree import Node
from roboyard.config.yaml_text import filled_in
from roboyard.errors import ConfigError
from roboyard.text import conceal_from_now_on

if TYPE_CHECKING:
    from roboyard.config.schema import ExperimentConfig

R = TypeVar("R", bound=Record)
Path: TypeAlias = tuple[str, ...]


class Reference(NamedTuple):
    """A value of a config that came from an environment variable."""

    text: str
    """What was written, such as ``${env:TOKEN}``."""
    value: JsonValue
    """What it stood for."""


def references_in(node: Node, path: Path = ()) -> Iterator[tuple[Path, Reference]]:
    """Yield the references in a config that has been read, and where they stand."""
    if node.reference is not None:
        yield path, Reference(node.reference, node.plain())
    if isinstance(node.value, dict | list):
        items = node.value.items() if isinstance(node.value, dict) else enumerate(node.value)
        for key, item in items:
            yield from references_in(item, (*path, str(key)))


def keep_references(config: ExperimentConfig, root: Node) -> None:
    """Let a config remember which of its values are written as references."""
    for path, reference in references_in(root):
        if not _is_kept(config, path, reference):
            continue
        config._references[path] = reference
        if path[0] != "store" and path[-1] != "file":
            _conceal(reference.text)


def as_written(config: ExperimentConfig) -> dict[str, JsonValue]:
    """Return a config as it is written: literal ``${env:`` escaped, references as references."""
    value: dict[str, Any] = escaped(config.model_dump(mode="json"))  # type: ignore[assignment]
    for path, reference in config._references.items():
        slot = _slot(value, path)
        if slot is not None and slot[0][slot[1]] == reference.value:  # it was not edited since
            slot[0][slot[1]] = reference.text
    return value


def resolved(record: R, where: str = "") -> R:
    """Return a record, read as it was written, with its references filled in.

    Raises:
        ConfigError: A variable is not set, or its value does not fit.
    """
    value = record.model_dump(mode="json")
    full = _filled_in(value, where)
    if full == value:
        return record
    try:
        return type(record).model_validate(full)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(filter(None, (where, *map(str, first["loc"]))))
        raise ConfigError(f"{place}: {first['msg']}, from an environment variable.") from error


def _filled_in(value: JsonValue, where: str) -> JsonValue:
    if isinstance(value, dict):
        return {k: _filled_in(v, f"{where}.{k}" if where else k) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled_in(item, f"{where}.{index}") for index, item in enumerate(value)]
    if not (isinstance(value, str) and is_interpolated(value)):
        return value
    try:
        return filled_in(value)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    finally:
        _conceal(value)


def _conceal(text: str) -> None:
    """Keep the values of a text's variables out of messages and logs."""
    for name in variables_in(text):
        conceal_from_now_on(os.environ.get(name, ""), f"${{env:{name}}}")


def _is_kept(config: ExperimentConfig, path: Path, reference: Reference) -> bool:
    """Return whether the place may hold any text, and whatever it says, the rest stays the same."""
    if path[-1] in _NAMES and not _FREE & set(path[:-1]):
        return False
    value: dict[str, Any] = config.model_dump(mode="json")
    slot = _slot(value, path)
    if slot is None:
        return False
    slot[0][slot[1]] = reference.text
    try:
        return type(config).model_validate(value).model_dump(mode="json") == value
    except ValidationError:
        return False


_NAMES = ("name", "id", "algorithm", "activation", "type", "term", "entry", "robot")
"""Keys whose values say what a run is made of."""
_FREE = {"kwargs", "params", "hyperparameters"}
"""Keys below which any key may stand."""


def _slot(value: Any, path: Path) -> tuple[Any, Any] | None:  # noqa: ANN401 - a tree of JSON
    """Return the container and the key of a place in a tree of JSON, if there is such a place."""
    for index, step in enumerate(path):
        key: Any = int(step) if isinstance(value, list) and step.isdecimal() else step
        try:
            below = value[key]
        except (KeyError, IndexError, TypeError):
            return None
        if index == len(path) - 1:
            return value, key
        value = below
    return None
