"""The engine's memory of contacts, and where its saved states lose it.

The engine keeps the contact points of each pair of links from step to step. When both links have
one collision shape, saved states hold these points and restoring is exact. When a link has
several shapes, the engine keeps one set of points for each shape but restores only the first set:
the restored world then drifts away from the one that was saved, and, worse, what it does depends
on contacts from before the restoring. :func:`forget_contacts` cures the second; for the first,
``BaseRobotEnv`` repeats the episode's actions instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from roboyard.sim.engine import pybullet

_FAR = 1000.0
"""Distance at which bodies are certainly apart [m]."""


def has_compound_links(file: Path) -> bool:
    """Return whether any link in a URDF or MJCF file has several collision shapes.

    The file is asked, because the engine's own answer about MJCF bodies crashes the process.
    """
    root = ElementTree.parse(file).getroot()
    if root.tag == "mujoco":
        return any(len(body.findall("geom")) > 1 for body in root.iter("body"))
    return any(
        sum(_num_shapes(file, shape) for shape in link.findall("collision")) > 1
        for link in root.findall("link")
    )


def forget_contacts(client: int, bodies: Iterable[int]) -> None:
    """Let the engine drop all contacts between ``bodies``; a restore must follow.

    Contacts of a body with itself stay.
    """
    for body in bodies:
        is_static = not pybullet.getNumJoints(body, client) and not _base_mass(client, body)
        if not is_static:
            pybullet.resetBasePositionAndOrientation(
                body, (0.0, 0.0, _FAR * (body + 1)), (0.0, 0.0, 0.0, 1.0), client
            )
    pybullet.performCollisionDetection(client)


def _base_mass(client: int, body: int) -> float:
    mass: float = pybullet.getDynamicsInfo(body, -1, client)[0]
    return mass


def _num_shapes(file: Path, collision: ElementTree.Element) -> int:
    """Return how many shapes the engine makes of a collision element; 2 if that is not known."""
    mesh = collision.find("geometry/mesh")
    if mesh is None:
        return 1
    name = mesh.get("filename", "").partition("://")[2] or mesh.get("filename", "")
    if not name.lower().endswith(".obj"):
        return 1
    for folder in file.parents:
        if (folder / name).is_file():
            return _num_parts(folder / name)
    return 2


@lru_cache(maxsize=1024)
def _num_parts(mesh: Path) -> int:
    lines = mesh.read_bytes().splitlines()
    return max(1, sum(line.startswith((b"o ", b"g ")) for line in lines))
