"""Looking into the records: which keys a place in a config may hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import Tag

from roboyard.config.base import Record
from roboyard.config.descriptions import descriptions
from roboyard.config.tree import Key


def records_at(root: type[Record], location: Sequence[Key]) -> list[type[Record]]:
    """Return the records that may stand at ``location``.

    Args:
        root: Record that the location starts from.
        location: Keys, indices and union tags, as pydantic reports them.
    """
    options: list[object] = [root]
    for step in location:
        options = [below for option in options for below in _step(option, step)]
    return [record for option in options for record in _records(option)]


def description_at(root: type[Record], location: Sequence[Key]) -> str | None:
    """Return what the field that ``location`` names means, if there is one."""
    name = str(location[-1])
    for record in records_at(root, location[:-1]):
        if name in record.model_fields:
            return descriptions(record).get(name)
    return None


def paths_to(record: type[Record], key: str, prefix: str = "") -> Iterator[str]:
    """Yield the dotted paths below ``record`` at which a field ``key`` exists."""
    for name, field in record.model_fields.items():
        if name == key:
            yield prefix + name
        for below in _records(field.annotation):
            yield from paths_to(below, key, f"{prefix}{name}.")


def _members(annotation: object) -> tuple[object, ...]:
    """Return the members of a union, with their tags; of anything else, itself."""
    if get_origin(annotation) is Annotated and get_origin(get_args(annotation)[0]) in _UNIONS:
        annotation = get_args(annotation)[0]
    return get_args(annotation) if get_origin(annotation) in _UNIONS else (annotation,)


_UNIONS = (Union, UnionType)


def _bare(annotation: object) -> object:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _flat(annotation: object) -> Iterator[object]:
    """Yield the members of nested unions, with their tags."""
    for member in _members(annotation):
        if len(_members(member)) > 1:
            yield from _flat(member)
        else:
            yield member


def _records(annotation: object) -> list[type[Record]]:
    bare = [_bare(member) for member in _flat(annotation)]
    return [item for item in bare if isinstance(item, type) and issubclass(item, Record)]


def _step(annotation: object, step: Key) -> list[object]:
    members = list(_flat(annotation))
    tagged = [member for member in members if _tag_of(member) == step]
    if tagged:
        return tagged
    found: list[object] = []
    for member in map(_bare, members):
        if isinstance(member, type) and issubclass(member, Record):
            if step in member.model_fields:
                found.append(member.model_fields[str(step)].annotation)
        elif get_origin(member) in (tuple, list) and isinstance(step, int):
            found.append(get_args(member)[0])
        elif get_origin(member) is dict:
            found.append(get_args(member)[1])
    return found


def _tag_of(annotation: object) -> str | None:
    tags = [m.tag for m in getattr(annotation, "__metadata__", ()) if isinstance(m, Tag)]
    return tags[0] if tags else None
