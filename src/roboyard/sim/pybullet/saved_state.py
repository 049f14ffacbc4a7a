"""The engine's own saved states: how they are taken and restored, and the form they have."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from roboyard.errors import SimulationError
from roboyard.sim.pybullet.engine import captured_output, pybullet

HEADER = b"BULLETd-v"  # double precision, 64 bits, little-endian
HEADER_SIZE = 12
_KNOWN_HEADER = HEADER + b"326"
_CHUNK = struct.Struct("<4sIqii")
# Place of btCollisionObjectDoubleData::m_islandTag1 in links (MBLC) and rigid bodies (RBDY).
_COLLIDERS = (b"MBLC", b"RBDY")
_ISLAND_TAG = 472


@contextmanager
def scratch_file(content: bytes = b"") -> Iterator[str]:
    """Give the path of a file that lives in memory where the system can do that.

    The engine saves to and restores from files only. One in memory leaves nothing behind when
    the process is killed, and no full disk cuts it short.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("roboyard-snapshot")
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{descriptor}"
        return
    with tempfile.TemporaryDirectory(prefix="roboyard-") as folder:
        path = os.path.join(folder, "state.bullet")
        with open(path, "wb") as file:
            file.write(content)
        yield path


def engine_state(client: int) -> bytes:
    """Return the engine's own part of a snapshot: bodies, velocities, contacts."""
    with scratch_file() as path:
        pybullet.saveBullet(path, physicsClientId=client)
        with open(path, "rb") as file:
            content = file.read()
    if not content:
        raise SimulationError("the physics engine saved nothing; is the temporary folder full?")
    return _without_island_tags(content)


def chunks(state: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield code, start and size of the content of each part of an engine's saved state.

    A state is a header, then parts: a code, a length, the address of what was saved, two more
    numbers, and the content.
    """
    start = HEADER_SIZE
    while start + _CHUNK.size <= len(state):
        code, size, *_ = _CHUNK.unpack_from(state, start)
        start += _CHUNK.size
        yield code, start, size
        start += size


def _without_island_tags(content: bytes) -> bytes:
    """Blank the groups of touching bodies, which the engine numbers anew in every step.

    The numbers follow the order in which pairs of bodies were found, which follows addresses in
    memory (btDbvt.cpp, ``sort``): states that are the same would differ in these bytes.
    """
    if not content.startswith(_KNOWN_HEADER):
        return content
    blanked = bytearray(content)
    for code, start, _ in chunks(content):
        if code in _COLLIDERS:
            tag = start + _ISLAND_TAG
            blanked[tag : tag + 4] = b"\xff\xff\xff\xff"
    return bytes(blanked)


def restore_engine_state(client: int, content: bytes) -> None:
    """Bring a client that loaded the same bodies to a state of :func:`engine_state`."""
    # The engine remembers files by name, and would read an older snapshot again.
    pybullet.setPhysicsEngineParameter(enableFileCaching=0, physicsClientId=client)
    try:
        with scratch_file(content) as path, captured_output():
            pybullet.restoreState(fileName=path, physicsClientId=client)
    finally:
        pybullet.setPhysicsEngineParameter(enableFileCaching=1, physicsClientId=client)
