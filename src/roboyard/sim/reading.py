"""Batched reading: one engine call fills preallocated arrays.

Create a reader once, call ``read`` once per control step, and use its arrays in place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roboyard.sim.rows import LINK, NORMAL_FORCE, OTHER_BODY, OTHER_LINK, Floats
from roboyard.sim.world import World


class JointReader:
    """Positions, velocities and motor torques of some joints of a body."""

    def __init__(self, world: World, body: int, joints: Sequence[int]) -> None:
        """Prepare reading ``joints``, which have one degree of freedom each."""
        self._read_all = world.joint_reader(body, joints, torques=True)
        self._read_plain = world.joint_reader(body, joints)
        size = len(joints)
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
        self.positions[:], self.velocities[:], self.torques[:] = self._read_all()

    def read_plain(self) -> tuple[list[float], list[float]]:
        """Return positions and velocities as plain floats: faster for two or three joints.

        Raises:
            SimulationError: The world is closed.
        """
        positions, velocities, _ = self._read_plain()
        return positions, velocities


class LinkReader:
    """Poses and velocities of some links of a body, in the world's frame."""

    def __init__(self, world: World, body: int, links: Sequence[int]) -> None:
        """Prepare reading ``links``; the base (-1) is not among them, see ``World.base``."""
        self._read = world.link_reader(body, links, fresh=True)
        size = len(links)
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
        states = self._read()
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
        self._read, self._body = world.contact_reader(body), body
        self.forces: Floats = np.zeros(num_links + 1)
        """Sum of normal forces on each link [N], shape (links + 1,); the base is the last."""
        self.touching: NDArray[np.bool_] = np.zeros(num_links + 1, dtype=bool)
        """Whether each link touches anything, shape (links + 1,); the base is the last."""

    def read(self) -> None:
        """Fill the arrays.

        Raises:
            SimulationError: The world is closed.
        """
        points = self._read()
        self.forces.fill(0.0)
        self.touching.fill(False)
        for point in points:
            # Index -1, the base, is the arrays' last entry. Points are ordered so that the asked
            # body is the first; a contact of the body with itself is told once, for both links.
            self._add(point[LINK], point[NORMAL_FORCE])
            if point[OTHER_BODY] == self._body:
                self._add(point[OTHER_LINK], point[NORMAL_FORCE])

    def _add(self, link: int, force: float) -> None:
        self.forces[link] += force
        self.touching[link] = True
