"""What is wrong with a robot description, found by reading its file rather than loading it.

The engine takes most mistakes without a word: a number that is none becomes 0, a limit that is
reversed is no limit, a mesh that is missing leaves a link without a shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from roboyard.errors import RobotDescriptionError
from roboyard.registry import suggest
from roboyard.sim import data_path

_NUMERIC = frozenset({
    "xyz", "rpy", "ixx", "iyy", "izz", "ixy", "ixz", "iyz", "lower", "upper", "effort", "velocity",
    "radius", "length", "size", "scale", "pos", "quat", "euler", "axis", "range", "fromto", "mass",
    "diaginertia", "density", "armature",
})  # fmt: skip
"""Attributes, in URDF and MJCF, that hold numbers."""
_OWNERS = ("link", "joint", "body", "geom", "site")
_TRIANGLE_SLACK = 1.01


class MissingMesh(NamedTuple):
    """A mesh file that is not there."""

    link: str
    """Link that it belongs to."""
    use: str
    """``collision`` or ``visual``."""
    name: str
    """The file as it is named."""


def check_description(file: Path) -> None:
    """Refuse a description that the engine would load into nonsense.

    Raises:
        RobotDescriptionError: A number is not finite, limits are reversed or a mesh is missing.
            The message names the link or joint.
    """
    root = _root(file)
    if root is None:
        return  # Loading says what is wrong.
    for owner, element in _owned(root, f"<{root.tag}>"):
        _check_element(file, owner, element)
    for mesh in missing_meshes(file):
        folder = (file.parent / _plain(mesh.name)).parent
        hint = suggest(Path(mesh.name).name, [path.name for path in folder.glob("*")])
        raise RobotDescriptionError(
            f"robot description '{file}': link '{mesh.link}': the {mesh.use} mesh "
            f"'{mesh.name}' does not exist beside it or in a folder above.{hint}"
        )


def missing_meshes(file: Path) -> list[MissingMesh]:
    """Return the meshes that a URDF names and that are not there."""
    root = _root(file)
    found = []
    for link in root.findall("link") if root is not None else ():
        for use in ("collision", "visual"):
            for mesh in link.findall(f"{use}/geometry/mesh"):
                name = mesh.get("filename", "")
                if not _mesh_exists(file, name):
                    found.append(MissingMesh(link.get("name", ""), use, name))
    return found


def inertia_faults(file: Path) -> list[str]:
    """Return what is wrong with the inertias of a URDF, one sentence a link."""
    root = _root(file)
    if root is None or root.tag != "robot":
        return []
    tips = {child.get("link") for child in root.findall("joint/child")}
    faults = []
    for link in root.findall("link"):
        name = link.get("name", "")
        fault = _inertia_fault(link.find("inertial"), is_root=name not in tips)
        if fault:
            faults.append(f"link '{name}' {fault}")
    return faults


def words_for_numbers(file: Path) -> list[str]:
    """Return where a description has words that the engine reads as 0, one sentence each."""
    root = _root(file)
    return [
        f"{owner}: {name} of <{element.tag}> is '{text}', which the engine reads as 0"
        for owner, element in (_owned(root, f"<{root.tag}>") if root is not None else ())
        for name, text in _numeric(element)
        if any(word.strip("+-.0123456789eE") for word in text.split())
    ]


def endless_joints(file: Path) -> frozenset[str]:
    """Return the joints that a URDF declares to turn without limits."""
    root = _root(file)
    joints = root.findall("joint") if root is not None else []
    return frozenset(j.get("name", "") for j in joints if j.get("type") == "continuous")


def _root(file: Path) -> Element | None:
    try:
        return ElementTree.parse(file).getroot()
    except (ElementTree.ParseError, OSError, ValueError, LookupError):
        return None


def _owned(element: Element, owner: str) -> Iterator[tuple[str, Element]]:
    """Return all elements with the link, joint or body that each belongs to."""
    if element.tag in _OWNERS and element.get("name"):
        owner = f"{element.tag} '{element.get('name')}'"
    yield owner, element
    for child in element:
        yield from _owned(child, owner)


def _check_element(file: Path, owner: str, element: Element) -> None:
    for name, text in _numeric(element):
        if any(not math.isfinite(_number(word)) for word in text.split()):
            raise RobotDescriptionError(
                f"robot description '{file}': {owner}: {name} of <{element.tag}> is "
                f"'{text}', but must hold finite numbers."
            )
    if element.tag == "joint" and element.get("type") in ("revolute", "prismatic"):
        _check_limits(file, owner, element.find("limit"))


def _numeric(element: Element) -> Iterator[tuple[str, str]]:
    for name, text in element.attrib.items():
        if name in _NUMERIC or (element.tag, name) == ("mass", "value"):
            yield name, text


def _check_limits(file: Path, owner: str, limit: Element | None) -> None:
    if limit is None:
        return
    lower, upper = _value(limit, "lower"), _value(limit, "upper")
    if lower > upper:
        raise RobotDescriptionError(
            f"robot description '{file}': {owner}: its limits are reversed: lower is {lower:g}, "
            f"upper is {upper:g}. Swap them; a joint without limits has type 'continuous'."
        )


def _number(word: str) -> float:
    """Return what the engine makes of a word: 0 of what is no number."""
    try:
        return float(word)
    except ValueError:
        return 0.0


def _value(element: Element | None, name: str) -> float:
    return _number(element.get(name, "0")) if element is not None else 0.0


def _plain(name: str) -> str:
    """Return a mesh's path without ``package://`` or the like."""
    return name.partition("://")[2] or name


def _mesh_exists(file: Path, name: str) -> bool:
    """Return whether a mesh is where the engine looks: beside the file and in folders above."""
    plain = _plain(name)
    return any((folder / plain).is_file() for folder in (*file.parents, data_path()))


def _inertia_fault(inertial: Element | None, *, is_root: bool) -> str:
    if inertial is None:
        if is_root:
            return ""  # Often a mere name for the world.
        return "has no inertial: the engine makes it 1 kg with an inertia of 1 kg m^2"
    mass, inertia = inertial.find("mass"), inertial.find("inertia")
    if not _value(mass, "value") > 0:
        return ""  # Such links mark a place; they harm nothing if another one moves with them.
    if inertia is None:
        return "has a mass but no inertia"
    xx, yy, zz, xy, xz, yz = (_value(inertia, f"i{axes}") for axes in _AXES)
    moments = np.linalg.eigvalsh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return moments_fault(moments[0], moments[1], moments[2])


_AXES = ("xx", "yy", "zz", "xy", "xz", "yz")


def moments_fault(*moments: float) -> str:
    """Return what is wrong with principal moments of inertia [kg m^2], or nothing."""
    small, middle, large = sorted(moments)
    shown = f"{small:.3g}, {middle:.3g}, {large:.3g} kg m^2"
    if small <= 0:
        return f"has an inertia that is not positive: principal moments {shown}"
    if large > (small + middle) * _TRIANGLE_SLACK:
        return f"has an inertia that no body can have: principal moments {shown}, the largest " \
               "above the sum of the others"  # fmt: skip
    return ""
