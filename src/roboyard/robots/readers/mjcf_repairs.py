"""Old MJCF that MuJoCo refuses today, though what it means is plain.

Only what changes nothing is repaired: global coordinates where every frame lies at the origin,
inertials that the file itself overrules, and materials that are not there.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from roboyard.sim.model import Remark

_PLACES = ("pos", "quat", "euler", "axisangle", "xyaxes", "zaxis")


class Repaired(NamedTuple):
    """A file's text as MuJoCo reads it, and what was changed."""

    text: str
    remarks: tuple[Remark, ...]


def repaired(file: Path) -> Repaired | None:
    """Return a repaired copy of an MJCF file; None if there is nothing to repair."""
    root = ElementTree.parse(file).getroot()
    remarks = [*_global_coordinates(root), *_overruled_inertials(root), *_lost_materials(root)]
    if not remarks:
        return None
    return Repaired(ElementTree.tostring(root, encoding="unicode"), tuple(remarks))


def _global_coordinates(root: Element) -> list[Remark]:
    compilers = [c for c in root.iter("compiler") if c.get("coordinate") == "global"]
    moved = any(body.get(name) for body in root.iter("body") for name in _PLACES)
    if not compilers or moved:
        return []
    for compiler in compilers:
        del compiler.attrib["coordinate"]
    return [Remark("global-coordinates", "the file", "global coordinates read as local ones",
                   "no body is moved, so that both are the same")]  # fmt: skip


def _overruled_inertials(root: Element) -> list[Remark]:
    if not any(c.get("inertiafromgeom") == "true" for c in root.iter("compiler")):
        return []
    found = []
    for body in root.iter("body"):
        for inertial in body.findall("inertial"):
            if inertial.get("pos") is None:
                body.remove(inertial)
                found.append(Remark("inertial-overruled", f"body '{body.get('name')}'",
                                    "its inertial left out", "the file takes inertias from "
                                    "geoms"))  # fmt: skip
    return found


def _lost_materials(root: Element) -> list[Remark]:
    known = {material.get("name") for material in root.iter("material")}
    lost = set()
    for element in root.iter():
        name = element.get("material")
        if name is not None and name not in known:
            del element.attrib["material"]
            lost.add(name)
    return [
        Remark("material-lost", f"material '{name}'", "left out", "the file does not define it")
        for name in sorted(lost)
    ]
