"""Batched reading: one engine call fills preallocated arrays.

Create a reader once, call ``read`` once per control step, and use its arrays in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from roboyard.sim.engine import EngineError, pybullet

if TYPE_CHECKING:
    from roboyard.sim.world import World

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_MAX_RAYS = 16_000  # the engine refuses batches of 16 384 and more


class JointReader:
    """Positions, velocities and motor torques of some joints of a body."""

    def __init__(self, world: World, body: int, joints: Sequence[int]) -> None:
        """Prepare reading ``joints``, which have one degree of freedom each."""
        self._world = world
        self._body = body
        self._joints = tuple(joints)
        size = len(self._joints)
        self.positions: Floats = np.zeros(size)
        """Positions [rad] or [m], shape (joints,)."""
        self.velocities: Floats = np.zeros(size)
        """Velocities [rad/s] or [m/s], shape (joints,)."""
        self.torques: Floats = np.zeros(size)
        """Torques that motors applied in the last physics step [N m] or [N], shape (joints,)."""

    def read(self) -> None:
        """Fill the arrays.

        Raises:
            SimulationError: The world is closed.
        """
        try:
            states = pybullet.getJointStates(self._body, self._joints, self._world.client)
        except EngineError as error:
            raise self._world.failure("joint states cannot be read", error) from error
        if states:
            self.positions[:], self.velocities[:], _, self.torques[:] = zip(*states, strict=True)

    def read_plain(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return positions and velocities as plain floats: faster for two or three joints.

        Raises:
            SimulationError: The world is closed.
        """
        try:
            states = pybullet.getJointStates(self._body, self._joints, self._world.client)
        except EngineError as error:
            raise self._world.failure("joint states cannot be read", error) from error
        positions, velocities, _, _ = zip(*states, strict=True)
        return positions, velocities


class LinkReader:
    """Poses and velocities of some links of a body, in the world's frame."""

    def __init__(self, world: World, body: int, links: Sequence[int]) -> None:
        """Prepare reading ``links``; the base (-1) is not among them, see ``World.base``."""
        self._world = world
        self._body = body
        self._links = tuple(links)
        size = len(self._links)
        self.positions: Floats = np.zeros((size, 3))
        """Origins of the link frames [m], shape (links, 3)."""
        self.orientations: Floats = np.zeros((size, 4))
        """Orientations of the link frames (x, y, z, w), shape (links, 4)."""
        self.centers: Floats = np.zeros((size, 3))
        """Centres of mass [m], shape (links, 3)."""
        self.linear_velocities: Floats = np.zeros((size, 3))
        """Velocities of the centres of mass [m/s], shape (links, 3)."""
        self.angular_velocities: Floats = np.zeros((size, 3))
        """Angular velocities [rad/s], shape (links, 3)."""

    def read(self) -> None:
        """Fill the arrays.

        Raises:
            SimulationError: The world is closed.
        """
        try:
            states = pybullet.getLinkStates(self._body, self._links, 1, 1, self._world.client)
        except EngineError as error:
            raise self._world.failure("link states cannot be read", error) from error
        if states:
            (
                self.centers[:],
                _,
                _,
                _,
                self.positions[:],
                self.orientations[:],
                self.linear_velocities[:],
                self.angular_velocities[:],
            ) = zip(*states, strict=True)


class ContactReader:
    """How hard each link of a body is pressed by other bodies and by the body itself."""

    def __init__(self, world: World, body: int, num_links: int) -> None:
        """Prepare reading the contacts of ``body`` with links 0 to ``num_links`` - 1."""
        self._world = world
        self._body = body
        self.forces: Floats = np.zeros(num_links + 1)
        """Sum of normal forces on each link [N], shape (links + 1,); the base is the last."""
        self.touching: NDArray[np.bool_] = np.zeros(num_links + 1, dtype=bool)
        """Whether each link touches anything, shape (links + 1,); the base is the last."""

    def read(self) -> None:
        """Fill the arrays.

        Raises:
            SimulationError: The world is closed.
        """
        try:
            points = pybullet.getContactPoints(self._body, physicsClientId=self._world.client)
        except EngineError as error:
            raise self._world.failure("contacts cannot be read", error) from error
        self.forces.fill(0.0)
        self.touching.fill(False)
        for point in points:
            # Index -1, the base, is the arrays' last entry. Points are ordered so that the asked
            # body is the first; a contact of the body with itself is told once, for both links.
            self._add(point[3], point[9])
            if point[2] == point[1]:
                self._add(point[4], point[9])

    def _add(self, link: int, force: float) -> None:
        self.forces[link] += force
        self.touching[link] = True


class RayHits(NamedTuple):
    """What rays met."""

    bodies: Integers
    """Body that each ray met, -1 for none, shape (rays,)."""
    links: Integers
    """Link that each ray met, -1 for the base or none, shape (rays,)."""
    fractions: Floats
    """Share of the way at which it met it, 1 for none, shape (rays,)."""
    positions: Floats
    """Where it met it [m], shape (rays, 3)."""
    normals: Floats
    """Surface normals there, shape (rays, 3)."""


def cast_rays(client: int, starts: Floats, ends: Floats) -> RayHits:
    """Cast rays from ``starts`` to ``ends`` [m], both of shape (rays, 3)."""
    starts = np.asarray(starts, dtype=np.float64).reshape(-1, 3)
    ends = np.asarray(ends, dtype=np.float64).reshape(-1, 3)
    rows: list[tuple[int, int, float, Sequence[float], Sequence[float]]] = []
    for first in range(0, len(starts), _MAX_RAYS):
        part = slice(first, first + _MAX_RAYS)
        rows += pybullet.rayTestBatch(
            starts[part].tolist(), ends[part].tolist(), physicsClientId=client
        )
    return RayHits(
        bodies=np.array([row[0] for row in rows], dtype=np.int64),
        links=np.array([row[1] for row in rows], dtype=np.int64),
        fractions=np.array([row[2] for row in rows], dtype=np.float64),
        positions=np.array([row[3] for row in rows], dtype=np.float64).reshape(-1, 3),
        normals=np.array([row[4] for row in rows], dtype=np.float64).reshape(-1, 3),
    )
