"""JSON read strictly: one value for each name, no nesting without end."""

from __future__ import annotations

import json

MAX_DEPTH = 64
"""Deepest nesting; NumPy's arrays have no more axes either."""


def decode(content: str | bytes | bytearray) -> str:
    """Return a JSON text, which may be in UTF-8, UTF-16 or UTF-32.

    Raises:
        ValueError: It is in none of them.
    """
    if isinstance(content, str):
        return content
    return content.decode(json.detect_encoding(content))


def parse(text: str) -> object:
    """Return the value of a JSON text.

    Raises:
        ValueError: It is not JSON, names something twice, or is nested too deeply.
    """
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deeper(value):
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
    return value


def encode_plain(value: object, max_bytes: int) -> bytes:
    """Return the JSON text of a value that was parsed.

    Raises:
        ValueError: It is too long, or holds NaN or an infinity.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    if len(text) > max_bytes:
        raise ValueError(f"it has {len(text)} bytes, more than {max_bytes}")
    return text


def _is_deeper(value: object) -> bool:
    """Return whether containers are nested too deeply; goes down level by level."""
    level: list[dict[str, object] | list[object]] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return False
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name '{twice[:100]}' stands there twice")
    return content


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)
