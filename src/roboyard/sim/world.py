"""The interface of a physics engine: a world, and everything that happens in it.

Bodies are numbers, in the order of loading; links and joints are numbers in the order of
:meth:`World.joints`, and -1 is a body's base. An engine is a subclass, registered in ``engines``;
``roboyard.testing.engine_conformance`` states what it must do. Nothing above this package asks
which engine it is: where engines differ, a property such as :attr:`World.restores_exactly` tells.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from roboyard.sim.bodies import BaseState, JointInfo
from roboyard.sim.camera import Camera, Picture, View
from roboyard.sim.descriptions import InertiaSource, Placement, RobotDescription, SelfCollision
from roboyard.sim.dynamics import Dynamics, LinkProperties
from roboyard.sim.engines import ENGINES
from roboyard.sim.rows import Bounds, ContactRow, Floats, JointColumns, LinkRow, Overlap, RayHits
from roboyard.sim.settings import Quaternion, Vector, WorldConfig
from roboyard.sim.shapes import Shape

if TYPE_CHECKING:
    from roboyard.sim.terrain import Terrain

Numbers: TypeAlias = "Sequence[float] | NDArray[np.floating]"

_UPRIGHT: Quaternion = (0.0, 0.0, 0.0, 1.0)


class World(ABC):
    """A physics world. Worlds never touch each other.

    Joints are free after loading: no motor holds them until one is commanded. Everything that is
    set through this class is part of :meth:`save` and :meth:`snapshot`: states of bodies,
    contacts, motor commands, changed dynamics, gravity. A restored world goes on bit for bit
    like the one that was saved, as long as :attr:`restores_exactly`. Forces and torques that wait
    for the next step are not part of it, so save between steps.

    Every method raises ``SimulationError`` once the world is closed, bound calls included.
    ``World(config)`` opens one of the engine that ``config`` names, as :func:`open_world` does.

    Example:
        >>> with World() as world:
        ...     ball = world.add_shape(Shape("sphere", (0.1,), mass=1.0), position=(0, 0, 1))
        ...     world.step()
        ...     round(world.base(ball).linear_velocity[2], 3)
        -0.041
    """

    config: WorldConfig

    def __new__(cls, config: WorldConfig | None = None) -> World:
        """Choose the engine's class, as ``pathlib.Path`` chooses the system's."""
        if cls is World:
            cls = ENGINES.resolve((config or WorldConfig()).engine)  # noqa: PLW0642
        return object.__new__(cls)

    @abstractmethod
    def __init__(self, config: WorldConfig | None = None) -> None:
        """Open the world.

        Raises:
            SimulationError: The engine has none left, or there is no display for a window.
        """

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Whether the world was closed."""

    @property
    @abstractmethod
    def bodies(self) -> tuple[int, ...]:
        """Numbers of the bodies, in the order in which they were loaded."""

    @property
    @abstractmethod
    def restores_exactly(self) -> bool:
        """Whether a restored world goes on exactly like the saved one, contacts or not.

        What a restored world does depends on the saved state alone in any case.
        """

    @abstractmethod
    def close(self) -> None:
        """Give everything back to the system; closing twice does no harm."""

    # Loading.

    max_links: ClassVar[int | None] = None
    """Most links of a body that the engine takes, the base included; None if it takes any."""

    @abstractmethod
    def load_robot(
        self, description: RobotDescription, placement: Placement | None = None
    ) -> tuple[int, ...]:
        """Load the bodies of a robot's description, and return their numbers.

        Args:
            description: What to load, and how.
            placement: Where the base is; a MJCF file says it itself, so there it counts not.

        Raises:
            RobotDescriptionError: The file is missing or wrong; the message says how.
        """

    def load_urdf(  # noqa: PLR0917
        self,
        path: str | Path,
        position: Vector = (0.0, 0.0, 0.0),
        orientation: Quaternion = _UPRIGHT,
        fixed_base: bool = False,
        scale: float = 1.0,
        self_collision: SelfCollision = "none",
        inertia: InertiaSource = "file",
    ) -> int:
        """Load a URDF file and return the body's number.

        Args:
            path: The file; names that are not found are looked for in the engine's own data.
            position: Position of the base [m].
            orientation: Orientation of the base (x, y, z, w).
            fixed_base: Fix the base to the world.
            scale: Factor on all lengths.
            self_collision: Which links of the body touch each other.
            inertia: Where inertias come from.

        Raises:
            RobotDescriptionError: The file is missing or wrong; the message says how.
        """
        description = RobotDescription(Path(path), fixed_base, scale, inertia, self_collision)
        return self.load_robot(description, Placement(position, orientation))[0]

    def load_mjcf(
        self, path: str | Path, self_collision: SelfCollision = "none"
    ) -> tuple[int, ...]:
        """Load a MJCF file and return the bodies' numbers.

        Raises:
            RobotDescriptionError: The file is missing or wrong; the message says how.
        """
        return self.load_robot(RobotDescription(Path(path), self_collision=self_collision))

    @abstractmethod
    def load_plane(self, height: float = 0.0) -> int:
        """Load an endless ground at a height [m] and return its number."""

    @abstractmethod
    def load_stadium(self) -> int:
        """Load the endless ground of PyBullet's locomotion environments; return its number.

        Raises:
            RobotDescriptionError: The engine has it not.
        """

    @abstractmethod
    def load_terrain(self, terrain: Terrain) -> int:
        """Load a height field and return its number."""

    @abstractmethod
    def add_shape(
        self,
        shape: Shape,
        position: Vector = (0.0, 0.0, 0.0),
        orientation: Quaternion = _UPRIGHT,
    ) -> int:
        """Add a body of one shape and return its number."""

    # Stepping and reading.

    @abstractmethod
    def step(self) -> None:
        """Make ``config.steps_per_call`` physics steps."""

    @abstractmethod
    def joints(self, body: int) -> tuple[JointInfo, ...]:
        """Return the joints of ``body`` in their order, which is that of its links."""

    @abstractmethod
    def base_name(self, body: int) -> str:
        """Return the name of the base link of ``body``."""

    @abstractmethod
    def base(self, body: int) -> BaseState:
        """Return pose and velocity of the base of ``body``."""

    @abstractmethod
    def link_properties(self, body: int, link: int) -> LinkProperties:
        """Return the present properties of a link; -1 is the base."""

    @abstractmethod
    def overlaps(self, body: int, other: int, tolerance: float) -> list[Overlap]:
        """Return the pairs of links that overlap by more than ``tolerance`` [m], deepest first.

        Args:
            body: A body.
            other: Another one, or the same: its self-collision, as far as it was loaded with it.
            tolerance: Depth that does not count [m].
        """

    @abstractmethod
    def bounds(self, body: int) -> Bounds:
        """Return a box around all links of ``body``, their margins included."""

    @abstractmethod
    def motion(self) -> list[float]:
        """Return positions and velocities of all bodies in one list, to tell states apart."""

    @abstractmethod
    def cast_rays(self, starts: Floats, ends: Floats) -> RayHits:
        """Cast rays from ``starts`` to ``ends`` [m], both of shape (rays, 3)."""

    @abstractmethod
    def take_picture(self, camera: Camera) -> Picture:
        """Return colours, depth and segmentation as ``camera`` sees them."""

    @abstractmethod
    def take_view(self, view: View, carrier: tuple[int, int] | None = None) -> Picture:
        """Return what a camera sees; up is up in the world, or on the link that carries it.

        Args:
            view: The camera.
            carrier: Body and link in whose frame the view is told; -1 is the base.
        """

    def render(self, camera: Camera) -> NDArray[np.uint8]:
        """Return a colour picture, shape (height, width, 3)."""
        return self.take_picture(camera).rgb

    # Calls with their arguments bound once, the quickest way to read and drive one body.

    @abstractmethod
    def joint_reader(
        self, body: int, joints: Sequence[int], torques: bool = False
    ) -> Callable[[], JointColumns]:
        """Return a call that reads ``joints`` of ``body``, and their motors' ``torques``."""

    @abstractmethod
    def link_reader(
        self, body: int, links: Iterable[int], velocities: bool = True, fresh: bool = False
    ) -> Callable[[], Sequence[LinkRow]]:
        """Return a call that reads ``links`` (not the base) of ``body``.

        Without ``velocities`` it is quicker, and rows end before them. Unless ``fresh``, poses
        may be those of the beginning of the last physics step.
        """

    @abstractmethod
    def pose_reader(self, body: int) -> Callable[[], tuple[Vector, Quaternion]]:
        """Return a call that reads position and orientation of the base of ``body``."""

    @abstractmethod
    def velocity_reader(self, body: int) -> Callable[[], tuple[Vector, Vector]]:
        """Return a call that reads linear and angular velocity of the base of ``body``."""

    @abstractmethod
    def contact_reader(
        self, body: int, other: int | None = None
    ) -> Callable[[], Sequence[ContactRow]]:
        """Return a call that reads contacts of ``body``, with everything or with one ``other``."""

    @abstractmethod
    def link_pose_reader(self, body: int, link: int) -> Callable[[], tuple[Vector, Quaternion]]:
        """Return a call that gives the pose of a link's centre of mass, from the joints."""

    @abstractmethod
    def pose_solver(self, body: int, link: int) -> Callable[[Vector, Quaternion], dict[int, float]]:
        """Return a call that brings ``link`` towards a position [m] and an orientation.

        It returns positions [rad] or [m] of all movable joints of ``body``, by their numbers. It
        is damped least squares, started from where the joints are, and depends on nothing else; a
        step of a few centimetres leaves an error of about a tenth of it.
        """

    @abstractmethod
    def torque_writer(self, body: int, joints: Sequence[int]) -> Callable[[list[float]], None]:
        """Return a call that takes torques [N m] or [N] of ``joints`` for the next step."""

    # Acting.

    @abstractmethod
    def set_gravity(self, gravity: Vector) -> None:
        """Set gravity [m/s^2]."""

    @abstractmethod
    def set_dynamics(self, body: int, link: int, dynamics: Dynamics) -> None:
        """Change physical properties of a link (-1 is the base) and its joint."""

    @abstractmethod
    def set_joint_friction(self, body: int, joint: int, friction: float) -> None:
        """Set the dry friction of a free joint [N m] or [N]; a motor command replaces it."""

    @abstractmethod
    def set_torques(self, body: int, joints: Sequence[int], torques: Numbers) -> None:
        """Apply torques [N m] or forces [N] to ``joints`` during the next :meth:`step`."""

    @abstractmethod
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
            forces: Largest torques [N m] or forces [N]; they may be infinite.
            position_gains: Share of the position error that one physics step removes.
            velocity_gains: Share of the velocity error that one physics step removes.
            velocities: Target velocities [rad/s] or [m/s]; zero by default.

        Raises:
            SimulationError: The numbers of values differ.
        """

    @abstractmethod
    def set_velocity_targets(
        self, body: int, joints: Sequence[int], velocities: Numbers, forces: Numbers | None = None
    ) -> None:
        """Let motors drive ``joints`` at ``velocities`` [rad/s] or [m/s] until told otherwise.

        ``forces`` are the largest torques [N m] or forces [N]; they may be infinite.
        """

    def disable_motors(self, body: int, joints: Sequence[int]) -> None:
        """Set ``joints`` free."""
        zeros = [0.0] * len(joints)
        self.set_velocity_targets(body, joints, zeros, zeros)

    @abstractmethod
    def set_joint_states(
        self, body: int, joints: Sequence[int], positions: Numbers, velocities: Numbers
    ) -> None:
        """Put ``joints`` at ``positions`` [rad] or [m], moving at ``velocities`` [1/s of it]."""

    @abstractmethod
    def set_base(self, body: int, state: BaseState) -> None:
        """Put the base of ``body`` at a pose with a velocity."""

    @abstractmethod
    def apply_force(self, body: int, link: int, force: Vector, position: Vector) -> None:
        """Push a link with ``force`` [N] at ``position`` [m], world frame, in the next step."""

    # States.

    @abstractmethod
    def save(self) -> int:
        """Keep the present state in memory and return its number; see :meth:`release`."""

    @abstractmethod
    def restore(self, number: int) -> None:
        """Go back to the state that :meth:`save` numbered; takes microseconds.

        Raises:
            SimulationError: There is no such state.
        """

    @abstractmethod
    def release(self, number: int) -> None:
        """Forget a saved state and free its memory."""

    @abstractmethod
    def snapshot(self) -> bytes:
        """Return the state as bytes, good in any process that loads the same bodies."""

    @abstractmethod
    def load_snapshot(self, data: bytes) -> None:
        """Go to the state of a :meth:`snapshot`.

        Raises:
            SimulationError: The bytes are damaged, or belong to a world with other bodies.
        """
