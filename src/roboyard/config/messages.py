"""Pydantic's errors as lines that say where, what was given, and what is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from roboyard.config.base import CHOICES, PATTERNS, Record
from roboyard.config.fields import description_at, paths_to, records_at
from roboyard.config.tree import Key, Node, dotted
from roboyard.registry import suggest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_TYPES = {
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "finite_number": "a finite number",
    "string_too_short": "text that is not empty",
    **dict.fromkeys(("tuple_type", "list_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a mapping"),
}
_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


_FOLLOWING = ("string_type", "too_short")
"""What pydantic also says of a mapping or a list in which something is wrong."""


def problem_lines(root: type[Record], config: Node, errors: Sequence[ErrorDetails]) -> list[str]:
    """Return one line for each wrong place in a config.

    Args:
        root: The record that the config was checked against.
        config: The config with its places.
        errors: What pydantic found; several errors at one place (the members of a union) become
            one line.
    """
    groups: dict[tuple[Key, ...], list[ErrorDetails]] = {}
    for error in errors:
        groups.setdefault(_path(config, error), []).append(error)
    for path in [path for path, group in groups.items() if _is_noise(path, group, groups)]:
        del groups[path]
    found = [
        (config.place_of(where), f"{dotted(where)}: {text}" if where else text)
        for path, group in groups.items()
        for where, text in _describe(root, path, group)
    ]
    found.sort(key=lambda problem: (problem[0].source, problem[0].line or 0))
    return [f"{place}{text}" for place, text in found]


def _is_noise(
    path: tuple[Key, ...], group: Sequence[ErrorDetails], groups: Collection[tuple[Key, ...]]
) -> bool:
    """Return whether errors only follow from others further down: in another member of a union."""
    return all(error["type"] in _FOLLOWING for error in group) and any(
        len(other) > len(path) and other[: len(path)] == path for other in groups
    )


def _path(config: Node, error: ErrorDetails) -> tuple[Key, ...]:
    """Return the error's location without the union tags that pydantic puts in."""
    node: Node | None = config
    path: list[Key] = []
    for step in error["loc"]:
        below = node.child(step) if node else None
        if below is not None:
            path.append(step)
            node = below
    if error["type"] == "missing":
        path.append(error["loc"][-1])
    return tuple(path)


_Problem = tuple[tuple[Key, ...], str]


def _describe(
    root: type[Record], path: tuple[Key, ...], group: list[ErrorDetails]
) -> list[_Problem]:
    handlers: dict[str, Callable[[type[Record], tuple[Key, ...], ErrorDetails], list[_Problem]]]
    handlers = {
        "missing": _missing,
        "extra_forbidden": _unknown,
        **dict.fromkeys(CHOICES, _wrong_choice),
        "cross_field": _cross_field,
        "value_error": _own_message,
    }
    found: list[_Problem] = []
    for error in group:
        if error["type"] in handlers:
            found += handlers[error["type"]](root, path, error)
    plain = [error for error in group if error["type"] not in handlers]
    return found + ([(path, _mismatch(plain))] if plain else [])


def _mismatch(errors: list[ErrorDetails]) -> str:
    """Return one sentence for a value that fits none of a field's types."""
    bounds = [error for error in errors if error["type"] in _BOUNDS]
    wanted = list(dict.fromkeys(_wanted(error) for error in bounds or errors))
    value = errors[0]["input"]
    hint = ""
    if isinstance(value, str):
        choices = [c for e in errors for c in _choices(e)]
        hint = suggest(value, choices)
    elif wanted == ["text"] and not _has_keys(value):
        hint = " Put it in quotes if it is text."
    return f"must be {' or '.join(wanted)}; got {shown(value)}.{hint}"


def _wanted(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{words} {context[key]:g}"
    if kind == "literal_error":
        return str(context["expected"])
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(context["pattern"], f"text that matches {context['pattern']}")
    return _TYPES.get(kind) or f"valid ({error['msg']})"


def _choices(error: ErrorDetails) -> list[str]:
    if error["type"] != "literal_error":
        return []
    expected = str(error["ctx"]["expected"])
    return [part.strip(" '") for part in expected.replace(" or ", ",").split(",")]


def _missing(root: type[Record], path: tuple[Key, ...], error: ErrorDetails) -> list[_Problem]:
    description = description_at(root, error["loc"])
    about = f" ({_sentence(description)})" if description else ""
    return [(path, f"is missing{about}.")]


def _unknown(root: type[Record], path: tuple[Key, ...], error: ErrorDetails) -> list[_Problem]:
    key, here = str(error["loc"][-1]), error["loc"][:-1]
    records = records_at(root, here)
    allowed = list(dict.fromkeys(name for record in records for name in record.model_fields))
    below = [p for record in records for p in paths_to(record, key)]
    elsewhere = below or list(paths_to(root, key))
    if dotted(path) in elsewhere:  # Right for another algorithm or schedule than the given one.
        elsewhere = []
    hint = suggest(key, allowed)
    if elsewhere and (below or not hint):
        hint = f" Did you mean '{elsewhere[0]}'?"
    return [(path, f"unknown key.{hint} Allowed: {', '.join(allowed)}.")]


def _wrong_choice(root: type[Record], path: tuple[Key, ...], error: ErrorDetails) -> list[_Problem]:
    del root  # Unused.
    (key, names, expected), value = CHOICES[error["type"]], error["input"]
    allowed = ", ".join(names)
    if not isinstance(value, dict):
        return [(path, f"must be {expected}; got {shown(value)}.")]
    if key not in value:
        return [((*path, key), f"is missing. Allowed: {allowed}.")]
    text = f"unknown {error['type']} {shown(value[key])}. Allowed: {allowed}."
    return [((*path, key), text + suggest(str(value[key]), names))]


def _cross_field(root: type[Record], path: tuple[Key, ...], error: ErrorDetails) -> list[_Problem]:
    del root, path  # Unused.
    return [(tuple(where.split(".")), text) for where, text in error["ctx"]["problems"]]


def _own_message(root: type[Record], path: tuple[Key, ...], error: ErrorDetails) -> list[_Problem]:
    del root  # Unused.
    return [(path, str(error["ctx"]["error"]))]


def _sentence(text: str) -> str:
    return " ".join(text.split()).rstrip(".").replace('"', "").replace("``", "'")


def _has_keys(value: object) -> bool:
    return isinstance(value, dict | list | tuple)


def shown(value: object) -> str:
    """Return a value as a message shows it: short, and as one would write it in YAML."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    return json.dumps(value, default=str)
