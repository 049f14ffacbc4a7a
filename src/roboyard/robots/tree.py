"""Whether links and joints form one tree, and what is carried by what."""

from __future__ import annotations

from collections import Counter

from roboyard.errors import RobotDescriptionError
from roboyard.registry import suggest
from roboyard.sim.model import Joint, RobotModel

MAX_NAME = 1000
"""Engines copy longer names into buffers that are shorter [bytes]."""
MAX_LINKS = 5000
_SHOWN = 5


def with_root(model: RobotModel) -> RobotModel:
    """Return the model with its root link found, after checking that it is one tree.

    Raises:
        RobotDescriptionError: Names repeat, links are unknown, or the joints form no tree; the
            message names the links.
    """
    _check_names(model)
    _check_ends(model)
    holders = _holders(model)
    roots = [link.name for link in model.links if link.name not in holders]
    if not roots:
        raise _wrong(model, f"its joints form a ring: {_ring(holders, model.links[0].name)}.")
    if len(roots) > 1:
        raise _wrong(model, f"its links are not one tree: no joint holds {_listed(roots)}. Join "
                     "them, or keep one of them in this file.")  # fmt: skip
    for link in model.links:
        _check_reaches(model, holders, link.name)
    return model.replace(root=roots[0])


def _check_names(model: RobotModel) -> None:
    if len(model.links) > MAX_LINKS:
        raise _wrong(model, f"it has {len(model.links)} links; at most {MAX_LINKS} are read.")
    for kind, names in (
        ("link", [link.name for link in model.links]),
        ("joint", [joint.name for joint in model.joints]),
    ):
        for name, count in Counter(names).items():
            if count > 1:
                raise _wrong(model, f"{count} {kind}s have the name '{name}'; rename them.")
            if len(name.encode()) > MAX_NAME:
                raise _wrong(model, f"the name of {kind} '{name[:20]}...' has {len(name.encode())} "
                             f"bytes; at most {MAX_NAME} are allowed.")  # fmt: skip
            if not name.isprintable():
                raise _wrong(
                    model, f"the name of {kind} {name!r} has characters that do not print."
                )


def _check_ends(model: RobotModel) -> None:
    names = {link.name for link in model.links}
    for joint in model.joints:
        for end, link in (("parent", joint.parent), ("child", joint.child)):
            if link not in names:
                raise _wrong(
                    model, f"joint '{joint.name}' has the {end} link '{link}', which does not "
                    f"exist.{suggest(link, sorted(names))} Links: {', '.join(sorted(names)[:20])}.",
                    joint.source.line,
                )  # fmt: skip
        if joint.parent == joint.child:
            raise _wrong(model, f"joint '{joint.name}' holds link '{joint.child}' to itself.",
                         joint.source.line)  # fmt: skip


def _holders(model: RobotModel) -> dict[str, Joint]:
    found: dict[str, Joint] = {}
    for joint in model.joints:
        other = found.setdefault(joint.child, joint)
        if other is not joint:
            raise _wrong(model, f"joints '{other.name}' and '{joint.name}' both hold link "
                         f"'{joint.child}'; a link has one parent.", joint.source.line)  # fmt: skip
    return found


def _check_reaches(model: RobotModel, holders: dict[str, Joint], name: str) -> None:
    seen: set[str] = set()
    while name in holders:
        if name in seen:
            raise _wrong(model, f"its joints form a ring: {_ring(holders, name)}.")
        seen.add(name)
        name = holders[name].parent


def _ring(holders: dict[str, Joint], start: str) -> str:
    seen: list[str] = []
    while start in holders and start not in seen:
        seen.append(start)
        start = holders[start].parent
    return _listed(seen[seen.index(start) :] if start in seen else seen)


def _wrong(model: RobotModel, what: str, line: int = 0) -> RobotDescriptionError:
    place = f", line {line}" if line else ""
    return RobotDescriptionError(f"robot description '{model.file}'{place}: {what}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:_SHOWN]) + more
