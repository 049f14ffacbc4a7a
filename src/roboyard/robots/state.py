"""The record of a robot's state, filled once per control step; terms read it and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboyard.errors import SimulationError
from roboyard.robots.reading import NO_LINKS, PARTS, Thing, bind_reads
from roboyard.robots.robot import Robot
from roboyard.sim import Picture, View
from roboyard.sim.rows import CENTER, FRAME_ORIENTATION, ORIENTATION, VELOCITY, LinkRow
from roboyard.sim.settings import Quaternion, Vector

Floats = NDArray[np.float64]

_ORIGIN: Vector = (0.0, 0.0, 0.0)
_UPRIGHT: Quaternion = (0.0, 0.0, 0.0, 1.0)
_NO_ROW = (_ORIGIN, _UPRIGHT, _ORIGIN, _UPRIGHT, _ORIGIN, _UPRIGHT, _ORIGIN, _ORIGIN)


class RobotState:
    """What terms may know, filled by :meth:`read` in as few engine calls as possible.

    Vectors are tuples of floats, in the world's frame unless said otherwise. Arrays of joints run
    over ``robot.joint_names``; every read makes new ones, so they can be kept but not changed.
    """

    step = 0
    """Control steps since the reset."""
    base_position: Vector = _ORIGIN
    """Origin of the robot's base link [m]; with ``compat`` its centre of mass."""
    base_orientation: Quaternion = _UPRIGHT
    """Orientation of the robot's base link (x, y, z, w)."""
    base_euler: Vector = _ORIGIN
    """Roll, pitch and yaw of the base link [rad]."""
    base_velocity: Vector = _ORIGIN
    """Velocity of the base link's origin [m/s]; with ``compat`` of its centre of mass."""
    base_angular_velocity: Vector = _ORIGIN
    """Angular velocity of the base link [rad/s]."""
    initial_base_position: Vector = _ORIGIN
    """``base_position`` at the reset [m]."""
    ground_contacts: frozenset[int] | set[int] = NO_LINKS
    """Links that touch the ground; -1 is the base."""
    previous_ground_contacts: frozenset[int] | set[int] = NO_LINKS
    """Links that touched the ground one control step earlier; none at the reset."""

    _link_sum: tuple[float, float] | None = None

    def __init__(
        self,
        robot: Robot,
        *,
        control_period: float,
        grounds: Sequence[int] = (),
        things: Mapping[str, Thing] | None = None,
        parts: frozenset[str] = PARTS,
    ) -> None:
        """Prepare reading.

        Args:
            robot: The robot.
            control_period: Simulated time of one control step [s].
            grounds: Bodies that count as ground.
            things: Objects beside the robot, by name.
            parts: Which parts of the record to read.
        """
        size, num_links = len(robot.joints), len(robot.link_names)
        self.robot = robot
        self.control_period = control_period
        """Simulated time of one control step [s]."""
        self.joint_positions: Floats = robot.initial_positions.copy()
        """Positions [rad] or [m], shape (joints,)."""
        self.joint_velocities: Floats = np.zeros(size)
        """Velocities [rad/s] or [m/s], shape (joints,)."""
        self.previous_joint_velocities: Floats = np.zeros(size)
        """Velocities one control step earlier."""
        self.joint_fractions: Floats = np.zeros(size)
        """Positions scaled to -1 at the lower and 1 at the upper limit; 0 without limits."""
        self.motor_torques: list[float] = [0.0] * size
        """Torques of the engine's motors in the last physics step [N m]; see also ``torques``."""
        self.link_rows: Sequence[LinkRow] = (_NO_ROW,) * num_links
        """The engine's rows on the links, see ``sim.rows.LinkRow``; link_centers and others are
        more convenient, this is faster. Velocities are in it if a term reads ``LINK_MOTION``."""
        self.contact_forces: dict[int, float] = {}
        """Links that touch anything, and the sum of normal forces on each [N]."""
        self.objects: dict[str, Vector] = dict.fromkeys(things or {}, _ORIGIN)
        """Centres of mass of objects [m], by name."""
        self.object_orientations: dict[str, Quaternion] = dict.fromkeys(things or {}, _UPRIGHT)
        """Orientations of objects (x, y, z, w), by name."""
        self.object_velocities: dict[str, Vector] = dict.fromkeys(things or {}, _ORIGIN)
        """Velocities of objects' centres of mass [m/s], by name."""
        self.object_turnings: dict[str, Vector] = dict.fromkeys(things or {}, _ORIGIN)
        """Angular velocities of objects [rad/s], by name."""
        self.object_contacts: dict[str, dict[int, float]] = {name: {} for name in things or {}}
        """For each object the robot's links that touch it, and the normal forces [N]."""
        self.action: Floats = np.zeros(robot.num_actions)
        """The present action as it was given, not limited, shape (actions,)."""
        self.previous_action: Floats = self.action
        """The action one control step earlier."""
        self.commands: dict[str, Floats] = {}
        """What is asked of the robot at present, by the command's name."""
        self.encoder_offsets: Floats = np.zeros(size)
        """What joint encoders show at zero [rad] or [m], shape (joints,)."""
        self.ground_height: Callable[[float, float], float] = _flat
        """Height of the ground at x and y [m]; flat at 0 unless the task has a terrain."""
        self._reads = bind_reads(self, parts, grounds, things or {})

    @property
    def link_centers(self) -> list[Vector]:
        """Centres of mass of the links [m]."""
        return [row[CENTER] for row in self.link_rows]

    @property
    def link_orientations(self) -> list[Quaternion]:
        """Orientations of the links (x, y, z, w); with ``compat`` of their inertial frames."""
        if self.robot.spec.compat:
            return [row[ORIENTATION] for row in self.link_rows]
        return [row[FRAME_ORIENTATION] for row in self.link_rows]

    @property
    def link_velocities(self) -> list[Vector]:
        """Velocities of the links' centres of mass [m/s]; part ``LINK_MOTION``.

        Raises:
            SimulationError: No term of the task declares that it reads them.
        """
        try:
            return [row[VELOCITY] for row in self.link_rows]
        except IndexError:
            raise SimulationError(
                "velocities of links were not read. Declare LINK_MOTION, instead of LINKS, among "
                "the parts that the term reads."
            ) from None

    @property
    def link_sum(self) -> tuple[float, float]:
        """Sums of x and y of the links' centres of mass [m]; computed once per control step."""
        if self._link_sum is None:
            x = y = 0.0
            for row in self.link_rows:
                link_x, link_y, _ = row[CENTER]
                x += link_x
                y += link_y
            self._link_sum = (x, y)
        return self._link_sum

    @property
    def torques(self) -> Floats:
        """Torques that the actuators commanded last [N m] or [N], shape (actions,)."""
        return np.concatenate([actuator.torques for actuator in self.robot.actuators])

    @property
    def efforts(self) -> Floats:
        """Torques that act on the actuated joints [N m] or [N], shape (actions,).

        They are the commanded ones where an actuator computes them, else the engine's motors'.
        """
        motors = self.motor_torques
        parts = [
            actuator.torques if actuator.knows_torques else [motors[i] for i in actuator.indices]
            for actuator in self.robot.actuators
        ]
        return np.concatenate(parts)

    @property
    def joint_accelerations(self) -> Floats:
        """Change of the joint velocities over the control step [rad/s^2], shape (joints,)."""
        change: Floats = self.joint_velocities - self.previous_joint_velocities
        return change / self.control_period

    def read(self) -> None:
        """Fill the record from the world.

        Raises:
            SimulationError: The world is closed.
        """
        self._link_sum = None
        for read in self._reads:
            read()

    def cast_rays(self, starts: Floats, ends: Floats) -> Floats:
        """Return the share of the way at which rays meet something, 1 for nothing, shape (rays,).

        Args:
            starts: Where they start [m], shape (rays, 3).
            ends: Where they end [m], shape (rays, 3).
        """
        return self.robot.world.cast_rays(starts, ends).fractions

    def take_picture(self, view: View, link: int | None = None) -> Picture:
        """Return what a camera sees, which stands in the world or is carried by ``link``."""
        carrier = None if link is None else (self.robot.body, link)
        return self.robot.world.take_view(view, carrier)

    def begin(self) -> None:
        """Fill the record at the start of an episode: nothing touches, nothing was done."""
        self.step = 0
        self.action = np.zeros(self.robot.num_actions)
        self.previous_action = self.action
        self.read()
        # The engine still tells the motors' torques of its last step, in another episode.
        self.motor_torques = [0.0] * len(self.joint_positions)
        self.previous_joint_velocities = self.joint_velocities
        self.ground_contacts = self.previous_ground_contacts = NO_LINKS
        self.contact_forces = {}
        self.object_contacts = {name: {} for name in self.objects}
        self.initial_base_position = self.base_position

    def advance(self, action: Floats) -> None:
        """Take over the action of the control step that begins."""
        self.step += 1
        self.previous_action = self.action
        self.action = action
        self.previous_ground_contacts = self.ground_contacts

    def get_state(self) -> dict[str, Any]:
        """Return the record's content, for a snapshot."""
        touches = {n: list(map(list, row.items())) for n, row in self.object_contacts.items()}
        kept = {name: _plain(getattr(self, name)) for name in _KEPT}
        return {**kept, "object_contacts": touches}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`get_state` returned.

        Raises:
            SimulationError: It is the state of another robot.
        """
        if len(state["joint_positions"]) != len(self.joint_positions):
            raise SimulationError(
                f"this snapshot is of a robot with {len(state['joint_positions'])} joints, but "
                f"'{self.robot.name}' has {len(self.joint_positions)}."
            )
        for name in _ARRAYS:
            setattr(self, name, np.array(state[name]))
        for name in _VECTORS:
            setattr(self, name, tuple(state[name]))
        self.link_rows = [tuple(map(tuple, row)) for row in state["link_rows"]]  # type: ignore[misc]
        self._link_sum = None
        for name in ("ground_contacts", "previous_ground_contacts"):
            setattr(self, name, frozenset(state[name]))
        self.step = state["step"]
        self.motor_torques = list(state["motor_torques"])
        self.contact_forces = {int(link): force for link, force in state["contact_forces"]}
        self.commands = {name: np.array(row) for name, row in state["commands"].items()}
        for table in _OBJECT_VECTORS:
            getattr(self, table).update({k: tuple(row) for k, row in state[table].items()})
        self.object_contacts = {
            name: {int(link): force for link, force in rows}
            for name, rows in state["object_contacts"].items()
        }


_ARRAYS = ("joint_positions", "joint_velocities", "previous_joint_velocities", "joint_fractions",
           "action", "previous_action", "encoder_offsets")  # fmt: skip
_VECTORS = ("base_position", "base_orientation", "base_euler", "base_velocity",
            "base_angular_velocity", "initial_base_position")  # fmt: skip
_OBJECT_VECTORS = ("objects", "object_orientations", "object_velocities", "object_turnings")
_KEPT = (*_ARRAYS, *_VECTORS, *_OBJECT_VECTORS, "link_rows", "ground_contacts",
         "previous_ground_contacts", "step", "motor_torques", "contact_forces",
         "commands")  # fmt: skip


def _flat(x: float, y: float) -> float:
    del x, y  # Unused.
    return 0.0


def _plain(value: object) -> object:
    """Return sets as sorted lists, tables with number keys as lists of pairs."""
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
        return [[key, item] for key, item in value.items()]
    return value
