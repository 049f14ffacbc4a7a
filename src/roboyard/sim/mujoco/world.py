"""A world: one model of the engine with its data, and everything that happens in it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from roboyard.errors import RobotDescriptionError, SimulationError
from roboyard.sim.bodies import BaseState
from roboyard.sim.descriptions import Placement, RobotDescription
from roboyard.sim.dynamics import Dynamics
from roboyard.sim.files import models_of
from roboyard.sim.mechanics import quaternion_from_rotation
from roboyard.sim.model import RobotModel
from roboyard.sim.mujoco.control import drive
from roboyard.sim.mujoco.dynamics import change
from roboyard.sim.mujoco.engine import mujoco
from roboyard.sim.mujoco.parts import BodyPart, plane_part, shape_part, terrain_part, to_engine
from roboyard.sim.mujoco.reading import ReadableMuJoCoWorld
from roboyard.sim.mujoco.robots import robot_part
from roboyard.sim.mujoco.simulation import STATE, Saved, Simulation
from roboyard.sim.mujoco.snapshots import from_record, identity, to_record
from roboyard.sim.rows import ContactRow
from roboyard.sim.settings import Quaternion, Vector, WorldConfig
from roboyard.sim.shapes import Shape
from roboyard.sim.snapshot import pack, unpack
from roboyard.sim.terrain import Terrain
from roboyard.sim.world import Numbers

_UPRIGHT: Quaternion = (0.0, 0.0, 0.0, 1.0)

__all__ = ["STATE", "MuJoCoWorld"]


class _Kept(NamedTuple):
    """A saved state, with what the engine's own leaves out."""

    state: Saved
    contacts: list[ContactRow]
    restitution: dict[tuple[int, int], float]


class MuJoCoWorld(ReadableMuJoCoWorld):
    """A world of MuJoCo."""

    def __init__(self, config: WorldConfig | None = None) -> None:
        """Open the world.

        Raises:
            SimulationError: A window is asked for, which this engine lacks.
        """
        self.config = config or WorldConfig()
        if self.config.gui:
            raise SimulationError(
                "MuJoCo worlds have no window here. Use render_mode='rgb_array', or the engine "
                "pybullet."
            )
        self._restitution = {}
        self._contact_rows = []
        self._saves: dict[int, _Kept] = {}
        self._next_save = 0
        self._is_pushed = False
        self.sim = Simulation(self.config)

    @property
    def restores_exactly(self) -> bool:
        """Whether a restored world goes on exactly like the saved one: always."""
        return True

    def close(self) -> None:
        """Give everything back to the system; closing twice does no harm."""
        if not self.is_closed:
            self.sim.closed = True
            self.sim.model = self.sim.data = self.sim.scratch = None
            self._saves.clear()

    # Loading.

    def load_robot(
        self, description: RobotDescription, placement: Placement | None = None
    ) -> tuple[int, ...]:
        """Load the bodies of a description."""
        self._open(f"'{description.file}' cannot be loaded")
        models = models_of(description)
        try:
            return tuple(self._load_model(description, model, placement) for model in models)
        except ValueError as error:
            reason = str(error).strip().splitlines()[0] if str(error) else "it gave no reason"
            raise RobotDescriptionError(
                f"robot description '{description.file}' was refused by the physics engine: "
                f"{reason.rstrip('.')}."
            ) from error

    def _load_model(
        self, description: RobotDescription, model: RobotModel, where: Placement | None
    ) -> int:
        if description.is_mjcf or where is None:
            x, y, z = model.pose.position.tolist()
            w, i, j, k = quaternion_from_rotation(model.pose.rotation).tolist()
            where = Placement((x, y, z), (i, j, k, w))
        return self.sim.add(robot_part(description, model, *where))

    def _add(self, part: BodyPart, what: str) -> int:
        sim = self._open(f"{what} cannot be added")
        try:
            return sim.add(part)
        except ValueError as error:
            reason = str(error).strip().splitlines()[0]
            raise SimulationError(f"{what} cannot be added: {reason}") from error

    def load_plane(self, height: float = 0.0) -> int:
        """Load an endless ground."""
        return self._add(plane_part("planeLink", height), "the ground")

    def load_stadium(self) -> int:
        """Load an endless ground: its friction is set like that of the stadium."""
        return self._add(plane_part("stadium", 0.0), "the ground")

    def load_terrain(self, terrain: Terrain) -> int:
        """Load a height field."""
        return self._add(terrain_part(terrain), "the terrain")

    def add_shape(
        self,
        shape: Shape,
        position: Vector = (0.0, 0.0, 0.0),
        orientation: Quaternion = _UPRIGHT,
    ) -> int:
        """Add a body of one shape and return its number."""
        return self._add(shape_part(shape, position, orientation), f"a {shape.kind}")

    # Stepping.

    def step(self) -> None:
        """Make ``config.steps_per_call`` physics steps."""
        sim = self.sim
        if sim.closed:
            self._open("the simulation cannot step")
        data = sim.data
        mujoco.mj_step(sim.model, data, self.config.steps_per_call)
        sim.is_stale = True
        self._contact_rows = None
        if self._is_pushed:
            data.qfrc_applied[:] = 0.0
            data.xfrc_applied[:] = 0.0
            self._is_pushed = False

    # Acting.

    def set_gravity(self, gravity: Vector) -> None:
        """Set gravity [m/s^2]."""
        self._open("gravity cannot be set").model.opt.gravity[:] = gravity

    def set_dynamics(self, body: int, link: int, dynamics: Dynamics) -> None:
        """Change physical properties of a link (-1 is the base) and its joint.

        Raises:
            SimulationError: MuJoCo has no such property.
        """
        self._rows(body, f"dynamics of body {body}, link {link} cannot be changed")
        change(self.sim, body, link, dynamics)
        if dynamics.restitution is not None:
            self._restitution[body, link] = dynamics.restitution

    def set_joint_friction(self, body: int, joint: int, friction: float) -> None:
        """Set the dry friction of a joint [N m] or [N]; motor commands leave it as it is."""
        rows = self._rows(body, f"friction of body {body}, joint {joint} cannot be set")
        self.sim.model.dof_frictionloss[rows.dofs[joint]] = friction

    def set_torques(self, body: int, joints: Sequence[int], torques: Numbers) -> None:
        """Apply torques [N m] or forces [N] to ``joints`` during the next :meth:`step`."""
        self.torque_writer(body, joints)(torques)  # type: ignore[arg-type]

    def torque_writer(self, body: int, joints: Sequence[int]) -> Callable[[list[float]], None]:
        """Return a call that takes torques of ``joints`` for the next step."""
        rows, sim = self._rows(body, "the robot cannot be driven"), self.sim
        dofs = rows.dofs[list(joints)]

        def write(torques: list[float]) -> None:
            if sim.closed:
                self._open("the robot cannot be driven")
            sim.data.qfrc_applied[dofs] = torques
            self._is_pushed = True

        return write

    def set_position_targets(  # noqa: PLR0917
        self,
        body: int,
        joints: Sequence[int],
        positions: Numbers,
        forces: Numbers | None = None,
        position_gains: Numbers | None = None,
        velocity_gains: Numbers | None = None,
        velocities: Numbers | None = None,
    ) -> None:
        """Let motors drive ``joints`` to ``positions`` until told otherwise."""
        self._rows(body, f"position targets of body {body} cannot be set")
        gains = (position_gains, velocity_gains)
        drive(self.sim, body, joints, positions, velocities, forces, gains)

    def set_velocity_targets(
        self, body: int, joints: Sequence[int], velocities: Numbers, forces: Numbers | None = None
    ) -> None:
        """Let motors drive ``joints`` at ``velocities`` [rad/s] or [m/s] until told otherwise."""
        self._rows(body, f"velocity targets of body {body} cannot be set")
        drive(self.sim, body, joints, None, velocities, forces, (None, None))

    def set_joint_states(
        self, body: int, joints: Sequence[int], positions: Numbers, velocities: Numbers
    ) -> None:
        """Put ``joints`` at ``positions`` [rad] or [m], moving at ``velocities`` [1/s of it]."""
        rows = self._rows(body, f"joint states of body {body} cannot be set")
        if not len(joints) == len(positions) == len(velocities):
            raise SimulationError(
                f"joint states of body {body} cannot be set: {len(joints)} joints, "
                f"{len(positions)} positions and {len(velocities)} velocities were given."
            )
        chosen = list(joints)
        self.sim.data.qpos[rows.positions[chosen]] = positions
        self.sim.data.qvel[rows.dofs[chosen]] = velocities
        self._moved()

    def set_base(self, body: int, state: BaseState) -> None:
        """Put the base of ``body`` at a pose with a velocity."""
        rows = self._rows(body, f"the base of body {body} cannot be set")
        data, model, at, dof = self.sim.data, self.sim.model, rows.free_position, rows.free_dof
        turned = to_engine(state.orientation)
        if at < 0:
            model.body_pos[rows.base] = state.position
            model.body_quat[rows.base] = turned
        else:
            data.qpos[at : at + 7] = (*state.position, *turned)
            spin, back = np.zeros(3), np.array(turned) * (1, -1, -1, -1)
            mujoco.mju_rotVecQuat(spin, np.array(state.angular_velocity), back)
            data.qvel[dof : dof + 6] = (*state.linear_velocity, *spin)
        self._moved()

    def _moved(self) -> None:
        """Forget what the engine's solver would start the next step from."""
        self.sim.data.qacc_warmstart[:] = 0.0
        self.sim.is_stale = True

    def apply_force(self, body: int, link: int, force: Vector, position: Vector) -> None:
        """Push a link with ``force`` [N] at ``position`` [m], world frame, in the next step."""
        rows = self._rows(body, f"body {body} cannot be pushed")
        data, number = self.sim.refresh(), rows.engine_body(link)
        data.xfrc_applied[number, :3] += force
        (x, y, z), (a, b, c) = (position - data.xipos[number]).tolist(), force
        data.xfrc_applied[number, 3:] += (y * c - z * b, z * a - x * c, x * b - y * a)
        self._is_pushed = True

    # States.

    def save(self) -> int:
        """Keep the present state in memory and return its number; see :meth:`release`."""
        self._open("the state cannot be saved")
        number, self._next_save = self._next_save, self._next_save + 1
        self._saves[number] = self._kept()
        return number

    def _kept(self) -> _Kept:
        return _Kept(self.sim.save(), list(self._contacts()), copy.copy(self._restitution))

    def restore(self, number: int) -> None:
        """Go back to the state that :meth:`save` numbered; takes microseconds."""
        self._open(f"state {number} cannot be restored")
        saved = self._saves.get(number)
        if saved is None:
            raise SimulationError(f"state {number} cannot be restored: no such state")
        self._go_to(saved)

    def _go_to(self, kept: _Kept) -> None:
        self.sim.load(kept.state)
        self._contact_rows = list(kept.contacts)
        self._restitution = copy.copy(kept.restitution)
        self._is_pushed = True

    def release(self, number: int) -> None:
        """Forget a saved state and free its memory."""
        self._open(f"state {number} cannot be released")
        self._saves.pop(number, None)

    def snapshot(self) -> bytes:
        """Return the state as bytes, good in any process that loads the same bodies."""
        self._open("no snapshot can be taken")
        return pack("world", {**identity(self.sim), **to_record(*self._kept())})

    def load_snapshot(self, data: bytes) -> None:
        """Go to the state of a :meth:`snapshot`.

        Raises:
            SimulationError: It is damaged, of other bodies, or of another engine or version.
        """
        self._open("the snapshot cannot be restored")
        self._go_to(_Kept(*from_record(self.sim, unpack("world", data))))
