"""Reading a world of MuJoCo: single questions, and calls whose arguments are bound once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from roboyard.errors import SimulationError
from roboyard.sim.bodies import BaseState, JointInfo
from roboyard.sim.camera import Camera, Picture, View
from roboyard.sim.dynamics import LinkProperties
from roboyard.sim.mujoco.contacts import contacts_of, find_bounds, find_overlaps, read_contacts
from roboyard.sim.mujoco.kinematics import pose_solver
from roboyard.sim.mujoco.rays import cast_rays, take_picture, take_view
from roboyard.sim.mujoco.simulation import BodyRows, Simulation
from roboyard.sim.rows import Bounds, ContactRow, Floats, JointColumns, LinkRow, Overlap, RayHits
from roboyard.sim.settings import Quaternion, Vector
from roboyard.sim.world import World

_AT_REST = (0.0, 0.0, 0.0)


class ReadableMuJoCoWorld(World):
    """The part of a world that changes nothing."""

    sim: Simulation
    """The engine's model and data."""
    _restitution: dict[tuple[int, int], float]
    _contact_rows: list[ContactRow] | None

    @property
    def is_closed(self) -> bool:
        """Whether the world was closed."""
        return not hasattr(self, "sim") or self.sim.closed

    @property
    def bodies(self) -> tuple[int, ...]:
        """Numbers of the bodies, in the order in which they were loaded."""
        return tuple(range(len(self.sim.parts)))

    def _open(self, what: str) -> Simulation:
        if self.is_closed:
            raise SimulationError(f"{what}: the world is closed. Create a new one.")
        return self.sim

    def _rows(self, body: int, what: str) -> BodyRows:
        sim = self._open(what)
        if not 0 <= body < len(sim.rows):
            raise SimulationError(f"{what}: there is no body {body}; there are {len(sim.rows)}.")
        return sim.rows[body]

    # Single questions.

    def joints(self, body: int) -> tuple[JointInfo, ...]:
        """Return the joints of ``body``."""
        return self._rows(body, f"joints of body {body} cannot be read").part.joints

    def base_name(self, body: int) -> str:
        """Return the name of the base link of ``body``."""
        return self._rows(body, f"the name of body {body} cannot be read").part.base

    def base(self, body: int) -> BaseState:
        """Return pose and velocity of the base of ``body``, at the origin of its frame."""
        return BaseState(*self.pose_reader(body)(), *self.velocity_reader(body)())

    def link_properties(self, body: int, link: int) -> LinkProperties:
        """Return the present properties of a link."""
        rows = self._rows(body, f"properties of body {body}, link {link} cannot be read")
        model, number = self.sim.model, rows.engine_body(link)
        geoms = np.flatnonzero((model.geom_bodyid == number) & (model.geom_contype > 0))
        friction = float(model.geom_friction[geoms[0], 0]) if len(geoms) else 0.0
        x, y, z = model.body_inertia[number].tolist()
        bounce = self._restitution.get((body, link), 0.0)
        is_held = number == rows.base and not rows.part.is_free
        mass = 0.0 if is_held else float(model.body_mass[number])
        return LinkProperties(mass, friction, (x, y, z), bounce)

    def overlaps(self, body: int, other: int, tolerance: float) -> list[Overlap]:
        """Return the pairs of links that overlap."""
        return find_overlaps(self._open("overlaps cannot be found"), body, other, tolerance)

    def bounds(self, body: int) -> Bounds:
        """Return a box around all links of a body."""
        return find_bounds(self._open("the size of a body cannot be read"), body)

    def motion(self) -> list[float]:
        """Return positions and velocities of all bodies."""
        data = self._open("the motion cannot be read").data
        numbers: list[float] = data.qpos.tolist() + data.qvel.tolist()
        return numbers

    def cast_rays(self, starts: Floats, ends: Floats) -> RayHits:
        """Cast rays."""
        return cast_rays(self._open("rays cannot be cast"), starts, ends)

    def take_picture(self, camera: Camera) -> Picture:
        """Return what ``camera`` sees."""
        return take_picture(self._open("no picture can be taken"), camera)

    def take_view(self, view: View, carrier: tuple[int, int] | None = None) -> Picture:
        """Return what a camera at a place, or on a link, sees."""
        return take_view(self._open("no picture can be taken"), view, carrier)

    # Bound calls.

    def joint_reader(
        self, body: int, joints: Sequence[int], torques: bool = False
    ) -> Callable[[], JointColumns]:
        """Return a call that reads ``joints`` of ``body``."""
        rows, chosen = self._rows(body, "joint states cannot be read"), list(joints)
        places, dofs = rows.positions[chosen], rows.dofs[chosen]
        fixed, sim = bool((places < 0).any()), self.sim

        def read() -> JointColumns:
            if sim.closed:
                self._open("joint states cannot be read")
            data = sim.data
            positions, velocities = data.qpos[places], data.qvel[dofs]
            efforts = data.qfrc_actuator[dofs] if torques else None
            if fixed:
                positions[places < 0] = 0.0
                velocities[dofs < 0] = 0.0
                if efforts is not None:
                    efforts[dofs < 0] = 0.0
            return (
                positions.tolist(), velocities.tolist(), [] if efforts is None else efforts.tolist()
            )  # fmt: skip

        return read

    def link_reader(
        self, body: int, links: Iterable[int], velocities: bool = True, fresh: bool = False
    ) -> Callable[[], Sequence[LinkRow]]:
        """Return a call that reads ``links`` of ``body``; it is always fresh."""
        del fresh
        rows, sim = self._rows(body, "link states cannot be read"), self.sim
        ids = rows.links[list(links)]

        def read() -> Sequence[LinkRow]:
            if sim.closed:
                self._open("link states cannot be read")
            return _link_rows(sim, ids, velocities)

        return read

    def pose_reader(self, body: int) -> Callable[[], tuple[Vector, Quaternion]]:
        """Return a call that reads the pose of the base of ``body``."""
        what = f"the base of body {body} cannot be read"
        rows, sim = self._rows(body, what), self.sim
        at, base = rows.free_position, rows.base

        def read() -> tuple[Vector, Quaternion]:
            if sim.closed:
                self._open(what)
            if at >= 0:
                x, y, z, w, i, j, k = sim.data.qpos[at : at + 7].tolist()
            else:
                x, y, z = sim.model.body_pos[base].tolist()
                w, i, j, k = sim.model.body_quat[base].tolist()
            return (x, y, z), (i, j, k, w)

        return read

    def velocity_reader(self, body: int) -> Callable[[], tuple[Vector, Vector]]:
        """Return a call that reads the velocities of the base of ``body``."""
        what = f"the base of body {body} cannot be read"
        rows, sim = self._rows(body, what), self.sim
        at, dof = rows.free_position, rows.free_dof

        def read() -> tuple[Vector, Vector]:
            if sim.closed:
                self._open(what)
            if at < 0:
                return _AT_REST, _AT_REST
            x, y, z, *spin = sim.data.qvel[dof : dof + 6].tolist()
            w, i, j, k = sim.data.qpos[at + 3 : at + 7].tolist()
            return (x, y, z), _turned((w, i, j, k), spin)

        return read

    def contact_reader(
        self, body: int, other: int | None = None
    ) -> Callable[[], Sequence[ContactRow]]:
        """Return a call that reads contacts of ``body``."""
        self._rows(body, "contacts cannot be read")
        sim = self.sim

        def read() -> Sequence[ContactRow]:
            if sim.closed:
                self._open("contacts cannot be read")
            return contacts_of(self._contacts(), body, other)

        return read

    def _contacts(self) -> list[ContactRow]:
        if self._contact_rows is None:
            self._contact_rows = read_contacts(self.sim)
        return self._contact_rows

    def link_pose_reader(self, body: int, link: int) -> Callable[[], tuple[Vector, Quaternion]]:
        """Return a call that gives the pose of a link's centre of mass."""
        read = self.link_reader(body, (link,), velocities=False)

        def pose() -> tuple[Vector, Quaternion]:
            row = read()[0]
            return row[0], row[1]

        return pose

    def pose_solver(self, body: int, link: int) -> Callable[[Vector, Quaternion], dict[int, float]]:
        """Return a call that brings ``link`` towards a pose."""
        self._rows(body, "inverse kinematics failed")
        solve = pose_solver(self.sim, body, link)

        def checked(position: Vector, orientation: Quaternion) -> dict[int, float]:
            self._open("inverse kinematics failed")
            return solve(position, orientation)

        return checked


def _turned(quaternion: tuple[float, float, float, float], vector: Sequence[float]) -> Vector:
    """Return a vector turned by a quaternion (w, x, y, z)."""
    w, x, y, z = quaternion
    a, b, c = vector
    p, q, r = 2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)
    return a + w * p + y * r - z * q, b + w * q + z * p - x * r, c + w * r + x * q - y * p


def _link_rows(sim: Simulation, ids: np.ndarray, velocities: bool) -> Sequence[LinkRow]:
    data, model = sim.refresh(), sim.model
    centers, places = data.xipos[ids], data.xpos[ids]
    turns = data.xquat[ids]
    inner = model.body_iquat[ids]
    columns = [
        _tuples(centers), _tuples(_products(turns, inner)[:, [1, 2, 3, 0]]),
        _tuples(model.body_ipos[ids]), _tuples(inner[:, [1, 2, 3, 0]]),
        _tuples(places), _tuples(turns[:, [1, 2, 3, 0]]),
    ]  # fmt: skip
    if velocities:
        spin, moved = data.cvel[ids, :3], data.cvel[ids, 3:]
        away = centers - data.subtree_com[model.body_rootid[ids]]
        (p, q, r), (x, y, z) = spin.T, away.T
        turning = np.stack([q * z - r * y, r * x - p * z, p * y - q * x], axis=-1)
        columns += [_tuples(moved + turning), _tuples(spin)]
    return list(zip(*columns, strict=True))


def _tuples(table: np.ndarray) -> list[tuple[float, ...]]:
    return list(map(tuple, table.tolist()))


def _products(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return products of quaternions (w, x, y, z)."""
    w, x, y, z = one.T
    a, b, c, d = other.T
    return np.stack([
        w * a - x * b - y * c - z * d, w * b + x * a + y * d - z * c,
        w * c - x * d + y * a + z * b, w * d + x * c - y * b + z * a,
    ], axis=-1)  # fmt: skip
