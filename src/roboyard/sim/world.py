"""A world: one physics client, and everything that happens in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboyard.errors import SimulationError
from roboyard.sim.bodies import BaseState, JointInfo, read_base, read_joints, signature
from roboyard.sim.camera import Camera, Picture, take_picture
from roboyard.sim.connection import connect
from roboyard.sim.contacts import ContactMemory
from roboyard.sim.control import Motors, Numbers, as_list
from roboyard.sim.dynamics import Dynamics, DynamicsLog
from roboyard.sim.engine import EngineError, data_path, pybullet
from roboyard.sim.loading import find_description, load_mjcf, load_urdf
from roboyard.sim.reading import Floats, RayHits, cast_rays
from roboyard.sim.settings import Quaternion, Vector, WorldConfig
from roboyard.sim.shapes import Shape, add_shape
from roboyard.sim.snapshot import engine_state, pack, restore_engine_state, unpack
from roboyard.sim.state import Settings, describe_bodies

_UPRIGHT: Quaternion = (0.0, 0.0, 0.0, 1.0)
_NO_CLIENT = -1


class World:
    """One physics client. Worlds never touch each other.

    Joints are free after loading: no motor holds them until one is commanded. Everything that is
    set through this class is part of :meth:`save` and :meth:`snapshot`: states of bodies,
    contacts, motor commands, changed dynamics, gravity. A restored world goes on bit for bit
    like the one that was saved, as long as :attr:`restores_exactly`. Forces and torques that wait
    for the next step are not part of it, so save between steps.

    Example:
        >>> with World() as world:
        ...     ball = world.add_shape(Shape("sphere", (0.1,), mass=1.0), position=(0, 0, 1))
        ...     world.step()
        ...     round(world.base(ball).linear_velocity[2], 3)
        -0.041
    """

    client: int = _NO_CLIENT
    """The engine's id of this world's client; -1 once closed."""

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
        self._saves: dict[int, Settings] = {}
        self._contacts = ContactMemory()
        self.client = connect(self.config)
        self.set_gravity(self.config.gravity)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    @property
    def is_closed(self) -> bool:
        """Whether the world was closed."""
        return self.client < 0

    @property
    def bodies(self) -> tuple[int, ...]:
        """Ids of the bodies, in the order in which they were loaded."""
        return tuple(self._signatures)

    @property
    def restores_exactly(self) -> bool:
        """Whether a restored world goes on exactly like the saved one, contacts or not.

        It does unless a link has several collision shapes; see ``sim.contacts``. What a restored
        world does depends on the saved state alone in any case.
        """
        return self._contacts.is_exact

    def close(self) -> None:
        """Give everything back to the system; closing twice does no harm."""
        client, self.client = self.client, _NO_CLIENT
        # At interpreter exit the engine's module may be gone, and its clients with it.
        if client >= 0 and pybullet is not None:
            try:
                pybullet.disconnect(client)
            except EngineError:
                return  # The user closed the window.

    def failure(self, what: str, error: Exception | None = None) -> SimulationError:
        """Return the error to raise when the engine refused to do something."""
        if self.is_closed:
            return SimulationError(f"{what}: the world is closed. Create a new one.")
        if error is not None and "Not connected" in str(error):
            return SimulationError(f"{what}: the physics window was closed.")
        return SimulationError(f"{what}: {error}")

    @contextmanager
    def _engine(self, what: str) -> Iterator[int]:
        if self.client < 0:
            raise self.failure(what)
        try:
            yield self.client
        except EngineError as error:
            raise self.failure(what, error) from error

    # Loading.

    def load_urdf(  # noqa: PLR0917
        self,
        path: str | Path,
        position: Vector = (0.0, 0.0, 0.0),
        orientation: Quaternion = _UPRIGHT,
        fixed_base: bool = False,
        scale: float = 1.0,
        flags: int | None = None,
    ) -> int:
        """Load a URDF file and return the body's id.

        Args:
            path: The file; names that are not found are looked for in PyBullet's own data.
            position: Position of the base [m].
            orientation: Orientation of the base (x, y, z, w).
            fixed_base: Fix the base to the world.
            scale: Factor on all lengths.
            flags: The engine's URDF flags; by default inertias come from the file.

        Raises:
            RobotDescriptionError: The file is missing or wrong; the message says how.
            SimulationError: The world is closed.
        """
        if flags is None:
            flags = pybullet.URDF_USE_INERTIA_FROM_FILE
        with self._engine(f"'{path}' cannot be loaded") as client:
            file = find_description(path)
            body = load_urdf(client, file, position, orientation, fixed_base, scale, flags)
            self._contacts.expect(file)
            self._adopt(body)
            return body

    def load_mjcf(self, path: str | Path, flags: int = 0) -> tuple[int, ...]:
        """Load a MJCF file and return the bodies' ids.

        Raises:
            RobotDescriptionError: The file is missing or wrong; the message says how.
            SimulationError: The world is closed.
        """
        with self._engine(f"'{path}' cannot be loaded") as client:
            file = find_description(path)
            bodies = load_mjcf(client, file, flags)
            self._contacts.expect(file)
            for body in bodies:
                self._adopt(body)
            return bodies

    def load_plane(self, height: float = 0.0) -> int:
        """Load an endless ground at a height [m] and return its id."""
        return self.load_urdf(data_path() / "plane.urdf", (0.0, 0.0, height), fixed_base=True)

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

    def _adopt(self, body: int) -> None:
        self._signatures[body] = signature(self.client, body)
        movable = [joint.index for joint in self.joints(body) if joint.is_movable]
        if movable:
            self.disable_motors(body, movable)

    # Stepping and reading.

    def step(self) -> None:
        """Make ``config.steps_per_call`` physics steps.

        Raises:
            SimulationError: The world is closed.
        """
        try:
            pybullet.stepSimulation(self.client)
        except EngineError as error:
            raise self.failure("the simulation cannot step", error) from error

    def joints(self, body: int) -> tuple[JointInfo, ...]:
        """Return the joints of ``body`` in index order."""
        with self._engine(f"joints of body {body} cannot be read") as client:
            return read_joints(client, body)

    def base(self, body: int) -> BaseState:
        """Return pose and velocity of the base of ``body``."""
        try:
            return read_base(self.client, body)
        except EngineError as error:
            raise self.failure(f"the base of body {body} cannot be read", error) from error

    def cast_rays(self, starts: Floats, ends: Floats) -> RayHits:
        """Cast rays from ``starts`` to ``ends`` [m], both of shape (rays, 3)."""
        with self._engine("rays cannot be cast") as client:
            return cast_rays(client, starts, ends)

    def take_picture(self, camera: Camera) -> Picture:
        """Return colours, depth and segmentation as ``camera`` sees them."""
        with self._engine("no picture can be taken") as client:
            return take_picture(client, camera, window=self.config.gui)

    def render(self, camera: Camera) -> NDArray[np.uint8]:
        """Return a colour picture, shape (height, width, 3)."""
        return self.take_picture(camera).rgb

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
        """Let motors drive ``joints`` to ``positions`` until told otherwise.

        Args:
            body: The body.
            joints: The joints.
            positions: Targets [rad] or [m].
            forces: Largest torques [N m] or forces [N].
            position_gains: Share of the position error that one physics step removes.
            velocity_gains: Share of the velocity error that one physics step removes.
            velocities: Target velocities [rad/s] or [m/s]; zero by default.

        Raises:
            SimulationError: The world is closed, or the numbers of values differ.
        """
        mode = pybullet.POSITION_CONTROL
        with self._engine(f"position targets of body {body} cannot be set") as client:
            self._motors.set(
                client, body, joints, mode, positions, velocities, forces, position_gains,
                velocity_gains,
            )  # fmt: skip

    def set_velocity_targets(
        self, body: int, joints: Sequence[int], velocities: Numbers, forces: Numbers | None = None
    ) -> None:
        """Let motors drive ``joints`` at ``velocities`` [rad/s] or [m/s] until told otherwise.

        ``forces`` are the largest torques [N m] or forces [N].
        """
        mode = pybullet.VELOCITY_CONTROL
        with self._engine(f"velocity targets of body {body} cannot be set") as client:
            self._motors.set(client, body, joints, mode, None, velocities, forces, None, None)

    def disable_motors(self, body: int, joints: Sequence[int]) -> None:
        """Set ``joints`` free."""
        zeros = [0.0] * len(joints)
        self.set_velocity_targets(body, joints, zeros, zeros)

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
        """Go back to the state that :meth:`save` numbered; takes microseconds.

        Raises:
            SimulationError: There is no such state, or the world is closed.
        """
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

    def _settings(self) -> Settings:
        return Settings(dict(self._motors.commands), self._dynamics.changes, self._gravity)

    def _restore_settings(self, saved: Settings) -> None:
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
        """Go to the state of a :meth:`snapshot`.

        Raises:
            SimulationError: The bytes are damaged, or belong to a world with other bodies.
        """
        state = unpack("world", data)
        bodies = {number: names for number, names in state["bodies"]}
        if bodies != self._signatures:
            raise SimulationError(
                f"this snapshot is of a world with other bodies ({describe_bodies(bodies)}) than "
                f"this one ({describe_bodies(self._signatures)}). Load the same bodies in the same "
                "order."
            )
        with self._engine("the snapshot cannot be restored") as client:
            self._restore_settings(Settings.from_record(state))
            restore_engine_state(client, state["engine"])
