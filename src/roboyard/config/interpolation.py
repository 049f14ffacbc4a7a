"""Environment variables in YAML values: ``${env:NAME}`` and ``${env:NAME:-default}``."""

from __future__ import annotations

import os
import re

from pydantic import JsonValue

_MARK = "${env:"
_PATTERN = re.compile(
    r"(?P<escape>\$)?\$\{env:(?P<body>(?P<name>[A-Za-z_]\w*)(:-(?P<default>[^}]*))?\})?"
)


def is_interpolated(text: str) -> bool:
    """Return whether ``text`` holds a reference to an environment variable."""
    return _MARK in text


def variables_in(text: str) -> tuple[str, ...]:
    """Return the variables that ``text`` refers to; ``$${env:`` refers to none."""
    matches = [match for match in _PATTERN.finditer(text) if not match["escape"]]
    return tuple(match["name"] for match in matches if match["name"])


def escape(text: str) -> str:
    """Return ``text`` so that reading it back leaves ``${env:`` as it stands."""
    return text.replace(_MARK, "$" + _MARK)


def escaped(value: JsonValue) -> JsonValue:
    """Return ``value`` with every text in it escaped."""
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return escape(value) if isinstance(value, str) else value


def interpolate(text: str) -> str:
    """Return ``text`` with its environment variables filled in.

    As in a shell, the default stands in for a variable that is unset or empty. ``$${env:`` is
    a literal ``${env:``.

    Raises:
        ValueError: A variable is unset and has no default, or a reference is malformed.
    """
    return _PATTERN.sub(_replacement, text)


def _replacement(match: re.Match[str]) -> str:
    if match["escape"]:
        return match[0][1:]
    if not match["body"]:
        raise ValueError(
            f"'{match.string}' is malformed. Write ${{env:NAME}} or ${{env:NAME:-default}}."
        )
    name, default = match["name"], match["default"]
    value = os.environ.get(name)
    if default is not None:
        return value or default
    if value is None:
        raise ValueError(
            f"environment variable {name} is not set. Run 'export {name}=...' first, "
            f"or give a default: ${{env:{name}:-default}}."
        )
    return value
