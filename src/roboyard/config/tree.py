"""Values with the place they were written at, so that every message can name file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import NamedTuple, TypeAlias

from pydantic import BaseModel, JsonValue

from roboyard.errors import ConfigError

Key: TypeAlias = str | int
KINDS = ("algorithm", "type")
"""Keys that say which record a mapping is; records of different kinds are not merged."""


class Place(NamedTuple):
    """Where a value was written."""

    source: str = ""
    """File name, or ``override``; empty for values given from Python."""
    line: int | None = None
    """Line in that file, from 1."""

    def __str__(self) -> str:
        """Return ``file:line: ``, or an empty string where the place is unknown."""
        line = "" if self.line is None else f":{self.line}"
        return f"{self.source}{line}: " if self.source else ""


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Node:
    """A scalar, a list or a mapping, and where it was written."""

    value: bool | int | float | str | list[Node] | dict[str, Node] | None
    place: Place = NOWHERE
    reference: str | None = None
    """What was written, if the value came from an environment variable."""

    def plain(self) -> JsonValue:
        """Return the bare value."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def child(self, key: Key) -> Node | None:
        """Return the entry at ``key``, if there is one."""
        if isinstance(self.value, dict):
            return self.value.get(str(key))
        if isinstance(self.value, list) and isinstance(key, int) and key < len(self.value):
            return self.value[key]
        return None

    def place_of(self, path: Sequence[Key]) -> Place:
        """Return the place of the entry at ``path``, or of the nearest one above it."""
        node = self
        for key in path:
            below = node.child(key)
            if below is None:
                break
            node = below
        return node.place


def dotted(path: Sequence[Key]) -> str:
    """Return ``"a.b.0"`` for ``("a", "b", 0)``."""
    return ".".join(str(key) for key in path)


def merged(base: Node, top: Node) -> Node:
    """Return ``base`` with ``top`` laid over it.

    Mappings are merged key by key, unless their ``algorithm`` or ``type`` differ: then they
    describe different things, and ``top`` replaces ``base``. Anything else is replaced.
    """
    if not (isinstance(base.value, dict) and isinstance(top.value, dict)):
        return top
    if any(_kind(base.value, key) != _kind(top.value, key, base.value) for key in KINDS):
        return top
    entries = dict(base.value)
    for key, node in top.value.items():
        entries[key] = merged(entries[key], node) if key in entries else node
    return Node(entries, top.place)


def _kind(entries: dict[str, Node], key: str, default: dict[str, Node] | None = None) -> JsonValue:
    node = entries.get(key) or (default or {}).get(key)
    value = node.plain() if node else None
    return value.lower() if isinstance(value, str) else value


def from_python(value: object, path: tuple[Key, ...] = ()) -> Node:
    """Return Python values as a node.

    Raises:
        ConfigError: A value is of a kind that YAML cannot hold.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return Node({_text(key, path): from_python(v, (*path, key)) for key, v in value.items()})
    if isinstance(value, list | tuple):
        return Node([from_python(item, (*path, index)) for index, item in enumerate(value)])
    if value is None or isinstance(value, bool | str):
        return Node(value)
    if isinstance(value, Integral):
        return Node(int(value))
    if isinstance(value, Real):
        return Node(float(value))
    raise ConfigError(
        f"{dotted(path) or 'config'}: a {type(value).__name__} cannot stand in a config. "
        "Allowed: mappings, lists, text, numbers, true, false and null."
    )


def _text(key: object, path: tuple[Key, ...]) -> str:
    if not isinstance(key, str):
        raise ConfigError(f"{dotted(path) or 'config'}: the key {key!r} is not text.")
    return key
