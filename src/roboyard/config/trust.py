"""The door for records from elsewhere: what they name is looked at before any of it is looked up.

A bundle or a run directory of a stranger may name the stranger's choice of code and files. Without
trust, only registered names pass, and files that the artefact itself brings. The door reads the
record that is used afterwards, field by field, and a field that it does not know may name nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar, get_args

from roboyard.config.base import Record
from roboyard.config.interpolation import is_interpolated
from roboyard.config.references import resolved
from roboyard.config.uses import Use
from roboyard.errors import PolicyError

R = TypeVar("R", bound=Record)

_TORCH_LAYER = re.compile(r"torch\.nn:[A-Z]\w*")
"""Layers of torch by their own names; whoever uses one checks that it is a class of a layer."""
_ENGINE_FILE = re.compile(r"pybullet_data:(?!/)(?!(.*/)?\.\.(/|$))[^\\:]+")
_FILE_NAME = re.compile(r".*\.[A-Za-z][A-Za-z0-9]{0,7}", re.DOTALL)
_EXTENDS = "extends"


class UntrustedError(PolicyError):
    """A record from elsewhere names code or a file, and nobody said that it is trusted."""


class Finding(NamedTuple):
    """A text that a record without trust may not hold."""

    field: str
    """Where it stands, such as ``env.task.rewards.alive.term``."""
    text: str
    """What stands there."""
    kind: str
    """What it names."""


def admitted(
    record: R, source: str, *, trusted: bool, files: Collection[str] = (), where: str = ""
) -> R:
    """Return a record from elsewhere, ready to be used: the one that was looked at.

    Args:
        record: A config, or the part of one that is used.
        source: Where it comes from, for messages.
        trusted: Whether it may name code, files and environment variables.
        files: Names of files that the artefact itself brings.
        where: Place of the record in its config, such as ``"env"``.

    Returns:
        The record, in which references to environment variables are filled in.

    Raises:
        UntrustedError: It names what it may not; the message names the field.
        ConfigError: An environment variable that it refers to is not set.
    """
    if not trusted:
        refuse(source, findings(record, files=files, where=where))
    return resolved(record, where)


def refuse(source: str, found: Iterable[Finding]) -> None:
    """Refuse a record in which something was found.

    Raises:
        UntrustedError: Naming the first field.
    """
    for field, text, kind in found:
        raise UntrustedError(
            f"'{source}' names {kind}, {field}: '{text}', which is not {_VERBS[kind]} without "
            "trust. If you trust where it comes from, pass trust_code=True (--trust-code)."
        )


_CODE, _FILE, _VARIABLE = "code outside Roboyard", "a file outside itself", "a variable"
_VERBS = {_CODE: "imported", _FILE: "opened", _VARIABLE: "read from this machine's environment"}


def findings(record: Record, *, files: Collection[str] = (), where: str = "") -> Iterator[Finding]:
    """Yield every text by which a record could have code imported or a file opened."""
    for name, field in type(record).model_fields.items():
        use = use_of(field.annotation, field.metadata)
        path = f"{where}.{name}" if where else name
        yield from _in_value(getattr(record, name, None), use, path, files)


def use_of(annotation: object, metadata: Collection[object] = ()) -> Use | None:
    """Return the mark of a field, which may stand inside its annotation."""
    marks = [mark for mark in metadata if isinstance(mark, Use)]
    for part in get_args(annotation):
        marks += [part] if isinstance(part, Use) else []
        inner = use_of(part)
        marks += [inner] if inner is not None else []
    return marks[0] if marks else None


def _in_value(
    value: object, use: Use | None, path: str, files: Collection[str]
) -> Iterator[Finding]:
    if isinstance(value, Record):
        yield from findings(value, files=files, where=path)
    elif isinstance(value, str):
        kind = _forbidden(value, use, files)
        if kind is not None:
            yield Finding(path, value, kind)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _in_key(str(key), use, path, files)
            yield from _in_value(item, use, f"{path}.{key}", files)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _in_value(item, use, f"{path}.{index}", files)


def _in_key(key: str, use: Use | None, path: str, files: Collection[str]) -> Iterator[Finding]:
    kind = _FILE if key == _EXTENDS else _forbidden(key, use, files)
    if kind is not None:
        yield Finding(path, key, kind)


def _forbidden(text: str, use: Use | None, files: Collection[str]) -> str | None:
    """Return what a text names that it may not, or None."""
    if is_interpolated(text) and use is not Use.PLACE:
        return _VARIABLE
    if use in (Use.TEXT, Use.PLACE):
        return None
    if use is Use.FILE:
        return None if text in files or _ENGINE_FILE.fullmatch(text) else _FILE
    if use is Use.CODE:
        return _CODE if ":" in text and not _TORCH_LAYER.fullmatch(text) else None
    if re.search(r"\w:\w", text) and "/" not in text:
        return _CODE
    is_path = ":" in text or "/" in text or "\\" in text or text.startswith(("~", ".."))
    return _FILE if is_path or _FILE_NAME.fullmatch(text) else None
