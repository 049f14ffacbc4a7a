"""The engine's memory of contacts, and where its saved states lose it.

The engine keeps the contact points of each pair of links from step to step. When both links have
one collision shape, saved states hold these points and restoring is exact. When a link has
several shapes, the engine keeps one set of points for each shape but restores only the first set:
the restored world then drifts away from the one that was saved, and, worse, what it does depends
on contacts from before the restoring. :class:`ContactMemory` cures the second; for the first,
``BaseRobotEnv`` repeats the episode's actions instead.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from roboyard.errors import SimulationError
from roboyard.sim.pybullet.engine import pybullet
from roboyard.sim.pybullet.saved_state import HEADER, HEADER_SIZE, chunks, engine_state


class CollisionFilter(NamedTuple):
    """Which other links a link touches: those whose group is in its mask, and the reverse."""

    body: int
    """The body."""
    link: int
    """The link; -1 is the base."""
    group: int
    """Groups it belongs to, one bit each."""
    mask: int
    """Groups it touches."""


class ContactMemory:
    """Drops the engine's memory of contacts, in worlds where restoring would leave a part of it."""

    def __init__(self) -> None:
        """Expect a world without bodies."""
        self.is_exact = True
        """Whether restoring a saved state restores all contacts."""
        self._bodies: tuple[int, ...] = ()
        self._filters: tuple[CollisionFilter, ...] = ()

    def expect(self, file: Path) -> None:
        """Learn that the bodies of a URDF or MJCF file were loaded."""
        self.is_exact = self.is_exact and not has_compound_links(file)

    def expect_mesh(self, file: Path) -> None:
        """Learn that a body with this mesh was added."""
        self.is_exact = self.is_exact and _num_parts(file) == 1

    def forget(self, client: int, bodies: Sequence[int]) -> None:
        """Drop all contacts of ``bodies``, all there are, if that is needed; then restore a state.

        Setting a link's collision filter, even to what it was, makes the engine drop every pair
        that the link is in, with its points, be it with another body or with its own. Links are
        taken in the order of loading, which decides the order in which pairs are solved.
        """
        if self.is_exact:
            return
        if self._bodies != tuple(bodies):
            self._filters = read_filters(client, bodies)
            self._bodies = tuple(bodies)
        for body, link, group, mask in self._filters:
            pybullet.setCollisionFilterGroupMask(body, link, group, mask, client)


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


_LINK = b"MBLC"
_LINK_FIELDS = struct.Struct("<492x ii 4x q i 4x")  # group, mask, address of the body, link


def read_filters(client: int, bodies: Sequence[int]) -> tuple[CollisionFilter, ...]:
    """Return the collision filters of all links, in the order of loading.

    The engine tells them nowhere but in its saved states.

    Args:
        client: The engine's client.
        bodies: All of its bodies, in the order of loading.

    Raises:
        SimulationError: This build of the engine writes saved states of another form.
    """
    state = engine_state(client)
    if not state.startswith(HEADER):
        raise _unknown_form(state[:HEADER_SIZE].decode(errors="replace"))
    numbers: dict[int, int] = {}
    filters = []
    for content in _links(state):
        group, mask, address, link = _LINK_FIELDS.unpack(content)
        number = numbers.setdefault(address, len(numbers))
        filters.append((number, link, group, mask))
    if len(numbers) != len(bodies):
        raise _unknown_form(f"{len(numbers)} bodies instead of {len(bodies)}")
    return tuple(CollisionFilter(bodies[number], *rest) for number, *rest in filters)


def _links(state: bytes) -> Iterator[bytes]:
    """Return the records of links in a saved state."""
    for code, start, size in chunks(state):
        if code == _LINK:
            if size != _LINK_FIELDS.size:
                raise _unknown_form(f"links of {size} bytes")
            yield state[start : start + size]


def _unknown_form(what: str) -> SimulationError:
    return SimulationError(
        f"saved states of this build of PyBullet have a form that is not known ({what}), so "
        "contacts of links with several collision shapes cannot be dropped at a reset. Install "
        "PyBullet 3.2.7, or give each link one shape."
    )


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
