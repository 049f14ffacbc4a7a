"""Environment variables of this process, and of what it starts, for a while."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def variables_set(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Have environment variables in the body, and what there was before after it.

    Args:
        changes: Values by name; None removes a variable.
    """
    before = {name: os.environ.get(name) for name in changes}
    _set(changes)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
