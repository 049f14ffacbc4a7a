"""Overrides: ``a.b=c`` texts laid over a config."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from roboyard.config.tree import KINDS, Node, Place, dotted
from roboyard.config.yaml_text import parse
from roboyard.errors import ConfigError

PLACE = Place("override")
_LOG = logging.getLogger(__name__)


def overridden(root: Node, overrides: Sequence[str]) -> Node:
    """Return ``root`` with each override applied in turn.

    A whole mapping given as a value replaces what was there. A list is addressed by index; the
    index one past its end appends. Another ``algorithm`` or ``type`` makes another thing of a
    mapping: as where files extend each other, it keeps nothing of the old one, but what overrides
    give it.

    Raises:
        ConfigError: An override has another form than ``a.b=value``, its value is not YAML, or
            its path leads through a value that has no keys.
    """
    for text in overrides:
        path, value = _split(text)
        root = _replaced(root, path, 0, value)
    return root


def _split(text: str) -> tuple[tuple[str, ...], Node]:
    left, equals, right = text.partition("=")
    path = tuple(part.strip() for part in left.split("."))
    if not equals or not all(path):
        raise ConfigError(
            f"override '{text}' is not of the form 'key.key=value', "
            "for example train.total_steps=100000."
        )
    try:
        return path, _placed(parse(right, PLACE.source))
    except ConfigError as error:
        reason = str(error).removeprefix(f"{PLACE.source}:")
        raise ConfigError(f"override '{text}':{reason}") from error


def _placed(node: Node) -> Node:
    if isinstance(node.value, dict):
        return Node({key: _placed(item) for key, item in node.value.items()}, PLACE)
    if isinstance(node.value, list):
        return Node([_placed(item) for item in node.value], PLACE)
    return Node(node.value, PLACE, node.reference)


def _replaced(node: Node, path: tuple[str, ...], depth: int, value: Node) -> Node:
    if depth == len(path):
        return value
    key, content = path[depth], node.value
    if content is None:
        content = [] if key == "0" else {}
    if isinstance(content, dict):
        if depth == len(path) - 1 and key in KINDS:
            content = _of_kind(content, path, value)
        below = content.get(key, Node(None, PLACE))
        entry = _replaced(below, path, depth + 1, value)
        # A key that keeps its value moves to the override only when it holds the new value.
        return Node({**content, key: entry}, node.place)
    if isinstance(content, list):
        index = _index(key, path[: depth + 1], len(content))
        items = [*content, Node(None, PLACE)] if index == len(content) else list(content)
        items[index] = _replaced(items[index], path, depth + 1, value)
        return Node(items, node.place)
    raise ConfigError(
        f"override: {dotted(path)}: '{dotted(path[:depth])}' is {content!r}, which has no keys."
    )


def _of_kind(content: dict[str, Node], path: tuple[str, ...], value: Node) -> dict[str, Node]:
    """Return what is left of a mapping when ``path`` says that it is of another kind."""
    old = content.get(path[-1])
    if old is None or str(old.plain()).lower() == str(value.plain()).lower():
        return content
    kept = {key: node for key, item in content.items() if (node := _overrides_in(item))}
    dropped = [key for key in content if content[key] != kept.get(key) and key != path[-1]]
    if dropped:
        _LOG.warning(
            "override: %s is %s instead of %s, so what the config gives %s is left out: %s. "
            "Give what is wanted of it with further overrides.",
            dotted(path),
            value.plain(),
            old.plain(),
            old.plain(),
            ", ".join(dotted((*path[:-1], key)) for key in dropped),
        )
    return kept


def _overrides_in(node: Node) -> Node | None:
    """Return what overrides have put into a node; None if there is nothing."""
    if node.place == PLACE:
        return node
    if not isinstance(node.value, dict):
        return None
    kept = {key: below for key, item in node.value.items() if (below := _overrides_in(item))}
    return Node(kept, node.place) if kept else None


def _index(key: str, path: tuple[str, ...], length: int) -> int:
    if not key.isascii() or not key.isdigit() or int(key) > length:
        raise ConfigError(
            f"override: {dotted(path)}: '{dotted(path[:-1])}' is a list of {length}; "
            f"use an index from 0 to {length} ({length} appends)."
        )
    return int(key)
