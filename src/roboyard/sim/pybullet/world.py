"""A world: one physics client, and everything that happens in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from roboyard.errors import SimulationError
from roboyard.sim.assets import data_path, find_description
from roboyard.sim.bodies import BaseState
from roboyard.sim.descriptions import Placement, RobotDescription
from roboyard.sim.dynamics import Dynamics
from roboyard.sim.model import RobotModel
from roboyard.sim.pybullet.bodies import signature
from roboyard.sim.pybullet.connection import connect
from roboyard.sim.pybullet.contacts import ContactMemory
from roboyard.sim.pybullet.control import LARGEST_FORCE, Motors, as_list, torque_sender
from roboyard.sim.pybullet.dynamics import DynamicsLog
from roboyard.sim.pybullet.engine import EngineError, pybullet
from roboyard.sim.pybullet.ground import load_stadium, load_terrain
from roboyard.sim.pybullet.loading import SELF_COLLISION, load_mjcf, load_urdf
from roboyard.sim.pybullet.models import MAX_LINKS, canonical_file, couple_mimics, load_model
from roboyard.sim.pybullet.reading import NO_CLIENT, ReadableWorld
from roboyard.sim.pybullet.saved_state import engine_state, restore_engine_state
from roboyard.sim.pybullet.shapes import add_shape
from roboyard.sim.pybullet.state import SavedSettings, describe_bodies
from roboyard.sim.settings import Quaternion, Vector, WorldConfig
from roboyard.sim.shapes import Shape
from roboyard.sim.snapshot import pack, unpack
from roboyard.sim.terrain import Terrain
from roboyard.sim.world import Numbers

_UPRIGHT: Quaternion = (0.0, 0.0, 0.0, 1.0)


class PyBulletWorld(ReadableWorld):
    """A physics client of PyBullet."""

    max_links = MAX_LINKS

    def __init__(self, config: WorldConfig | None = None) -> None:
        """Open the world.

        Raises:
            SimulationError: The engine has no client left, or there is no display for a window.
        """
        self.config = config or WorldConfig()
        self._gravity = self.config.gravity
        self._motors = Motors()
        self._dynamics = DynamicsLog()
        self._signatures: dict[int, list[str]] = {}
        self._saves: dict[int, SavedSettings] = {}
        self._contacts = ContactMemory()
        self.base_frames = {}
        self.client = connect(self.config)
        self.set_gravity(self.config.gravity)

    @property
    def bodies(self) -> tuple[int, ...]:
        """Ids of the bodies, in the order in which they were loaded."""
        return tuple(self._signatures)

    @property
    def restores_exactly(self) -> bool:
        """Whether a restored world goes on exactly like the saved one, contacts or not."""
        return self._contacts.is_exact

    def close(self) -> None:
        """Give everything back to the system; closing twice does no harm."""
        client, self.client = self.client, NO_CLIENT
        # At interpreter exit the engine's module may be gone, and its clients with it.
        if client >= 0 and pybullet is not None:
            try:
                pybullet.disconnect(client)
            except EngineError:
                return  # The user closed the window.

    # Loading.

    def add_shape(
        self,
        shape: Shape,
        position: Vector = (0.0, 0.0, 0.0),
        orientation: Quaternion = _UPRIGHT,
    ) -> int:
        """Add a body of one shape and return its id."""
        with self._engine("a shape cannot be added") as client:
            body = add_shape(client, shape, position, orientation)
            if shape.file:
                self._contacts.expect_mesh(Path(shape.file))
            self._adopt(body)
            return body

    def load_plane(self, height: float = 0.0) -> int:
        """Load an endless ground."""
        return self.load_urdf(data_path() / "plane.urdf", (0.0, 0.0, height), fixed_base=True)

    def load_stadium(self) -> int:
        """Load the ground of PyBullet's locomotion environments."""
        with self._engine("the stadium cannot be loaded") as client:
            body = load_stadium(client)
            self._adopt(body)
            return body

    def load_terrain(self, terrain: Terrain) -> int:
        """Load a height field."""
        with self._engine("the terrain cannot be loaded") as client:
            body = load_terrain(client, terrain)
            self._adopt(body)
            return body

    def load_robot(
        self, description: RobotDescription, placement: Placement | None = None
    ) -> tuple[int, ...]:
        """Load the bodies of a description."""
        if description.model is not None:
            return (self._load_model(description, description.model, placement or Placement()),)
        path = description.file
        with self._engine(f"'{path}' cannot be loaded") as client:
            file = find_description(path)
            if description.is_mjcf:
                bodies = load_mjcf(client, file, SELF_COLLISION[description.self_collision])
            else:
                bodies = (load_urdf(client, file, description, placement or Placement()),)
            self._contacts.expect(file)
            for body in bodies:
                self._adopt(body)
            return bodies

    def _load_model(
        self, description: RobotDescription, model: RobotModel, where: Placement
    ) -> int:
        with (
            self._engine(f"'{description.file}' cannot be loaded") as client,
            canonical_file(model) as (file, base),
        ):
            body, frame = load_model(client, file, base, description, where)
            self._contacts.expect(file)
            self._adopt(body)
            self.base_frames[body] = frame
            for joint in self.joints(body):
                if joint.is_movable and joint.friction > 0:
                    self.set_joint_friction(body, joint.index, joint.friction)
            couple_mimics(client, body, model)
        return body

    def _adopt(self, body: int) -> None:
        self._signatures[body] = signature(self.client, body)
        movable = [joint.index for joint in self.joints(body) if joint.is_movable]
        if movable:
            self.disable_motors(body, movable)

    # Stepping and reading.

    def step(self) -> None:
        """Make ``config.steps_per_call`` physics steps."""
        try:
            pybullet.stepSimulation(self.client)
        except EngineError as error:
            raise self.failure("the simulation cannot step", error) from error

    # Acting.

    def set_gravity(self, gravity: Vector) -> None:
        """Set gravity [m/s^2]."""
        with self._engine("gravity cannot be set") as client:
            pybullet.setGravity(*gravity, physicsClientId=client)
            self._gravity = gravity

    def set_dynamics(self, body: int, link: int, dynamics: Dynamics) -> None:
        """Change physical properties of a link (-1 is the base) and its joint."""
        with self._engine(f"dynamics of body {body}, link {link} cannot be changed") as client:
            self._dynamics.change(client, body, link, dynamics)

    def set_torques(self, body: int, joints: Sequence[int], torques: Numbers) -> None:
        """Apply torques [N m] or forces [N] to ``joints`` during the next :meth:`step`."""
        try:
            pybullet.setJointMotorControlArray(
                body,
                joints,
                pybullet.TORQUE_CONTROL,
                forces=as_list(torques),
                physicsClientId=self.client,
            )
        except EngineError as error:
            raise self.failure(f"torques of body {body} cannot be set", error) from error

    def torque_writer(self, body: int, joints: Sequence[int]) -> Callable[[list[float]], None]:
        """Return a call that takes torques of ``joints`` for the next step."""
        send = torque_sender(self.client, body, joints)

        def write(torques: list[float]) -> None:
            try:
                send(torques)
            except EngineError as error:
                raise self.failure("the robot cannot be driven", error) from error

        return write

    def set_joint_friction(self, body: int, joint: int, friction: float) -> None:
        """Set the dry friction of a joint, by a motor that aims at standstill."""
        self.set_velocity_targets(body, [joint], [0.0], [friction])

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
        mode = pybullet.POSITION_CONTROL
        forces = None if forces is None else np.minimum(forces, LARGEST_FORCE)
        with self._engine(f"position targets of body {body} cannot be set") as client:
            self._motors.set(
                client, body, joints, mode, positions, velocities, forces, position_gains,
                velocity_gains,
            )  # fmt: skip

    def set_velocity_targets(
        self, body: int, joints: Sequence[int], velocities: Numbers, forces: Numbers | None = None
    ) -> None:
        """Let motors drive ``joints`` at ``velocities`` [rad/s] or [m/s] until told otherwise."""
        mode = pybullet.VELOCITY_CONTROL
        forces = None if forces is None else np.minimum(forces, LARGEST_FORCE)
        with self._engine(f"velocity targets of body {body} cannot be set") as client:
            self._motors.set(client, body, joints, mode, None, velocities, forces, None, None)

    def set_joint_states(
        self, body: int, joints: Sequence[int], positions: Numbers, velocities: Numbers
    ) -> None:
        """Put ``joints`` at ``positions`` [rad] or [m], moving at ``velocities`` [1/s of it]."""
        with self._engine(f"joint states of body {body} cannot be set") as client:
            rows = zip(joints, as_list(positions), as_list(velocities), strict=True)
            for joint, position, velocity in rows:
                pybullet.resetJointState(body, joint, position, velocity, client)

    def set_base(self, body: int, state: BaseState) -> None:
        """Put the base of ``body`` at a pose with a velocity."""
        frame = self.base_frames.get(body)
        if frame is not None:
            state = frame.inertial_state(state)
        with self._engine(f"the base of body {body} cannot be set") as client:
            pybullet.resetBasePositionAndOrientation(
                body, state.position, state.orientation, client
            )
            pybullet.resetBaseVelocity(
                body, state.linear_velocity, state.angular_velocity, physicsClientId=client
            )

    def apply_force(self, body: int, link: int, force: Vector, position: Vector) -> None:
        """Push a link with ``force`` [N] at ``position`` [m], world frame, in the next step."""
        with self._engine(f"body {body} cannot be pushed") as client:
            pybullet.applyExternalForce(
                body, link, force, position, pybullet.WORLD_FRAME, physicsClientId=client
            )

    # States.

    def save(self) -> int:
        """Keep the present state in memory and return its number; see :meth:`release`."""
        with self._engine("the state cannot be saved") as client:
            number: int = pybullet.saveState(client)
            self._saves[number] = self._settings()
            return number

    def restore(self, number: int) -> None:
        """Go back to the state that :meth:`save` numbered; takes microseconds."""
        saved = self._saves.get(number)
        if saved is None or self.client < 0:
            raise self.failure(f"state {number} cannot be restored", ValueError("no such state"))
        self._restore_settings(saved)
        try:
            pybullet.restoreState(number, physicsClientId=self.client)
        except EngineError as error:
            raise self.failure(f"state {number} cannot be restored", error) from error

    def release(self, number: int) -> None:
        """Forget a saved state and free its memory."""
        with self._engine(f"state {number} cannot be released") as client:
            if self._saves.pop(number, None) is not None:
                pybullet.removeState(number, physicsClientId=client)

    def _settings(self) -> SavedSettings:
        return SavedSettings(dict(self._motors.commands), self._dynamics.changes, self._gravity)

    def _restore_settings(self, saved: SavedSettings) -> None:
        if saved.gravity != self._gravity:
            self.set_gravity(saved.gravity)
        self._dynamics.restore(self.client, saved.dynamics)
        self._motors.restore(self.client, saved.motors)
        self._contacts.forget(self.client, self.bodies)

    def snapshot(self) -> bytes:
        """Return the state as bytes, good in any process that loads the same bodies."""
        with self._engine("no snapshot can be taken") as client:
            state = {
                "bodies": list(self._signatures.items()),
                "engine": engine_state(client),
                **self._settings().to_record(),
            }
            return pack("world", state)

    def load_snapshot(self, data: bytes) -> None:
        """Go to the state of a :meth:`snapshot`."""
        state = unpack("world", data)
        if not isinstance(state.get("engine"), bytes):
            raise SimulationError(
                f"this snapshot is of the engine {state.get('engine')}, not of pybullet; restore "
                "it with the engine that it was taken with."
            )
        bodies = {number: names for number, names in state["bodies"]}
        if bodies != self._signatures:
            raise SimulationError(
                f"this snapshot is of a world with other bodies ({describe_bodies(bodies)}) than "
                f"this one ({describe_bodies(self._signatures)}). Load the same bodies in the same "
                "order."
            )
        with self._engine("the snapshot cannot be restored") as client:
            self._restore_settings(SavedSettings.from_record(state))
            restore_engine_state(client, state["engine"])
