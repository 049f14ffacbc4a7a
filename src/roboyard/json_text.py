"""JSON as records hold it: a name that is given twice is an error, not a choice of the parser."""

from __future__ import annotations

import json
from typing import Any


def loads(text: str | bytes) -> Any:  # noqa: ANN401 - as json.loads
    """Return the value of a JSON text.

    Raises:
        ValueError: It is no JSON, or an object in it has a name twice.
    """
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} is given twice")
    return value
