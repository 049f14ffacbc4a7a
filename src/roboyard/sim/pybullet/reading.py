"""Reading a world of PyBullet: single questions, and calls whose arguments are bound once.

Arguments go by position where speed counts, because the engine's calls take keywords at a good
part of their price. Bound calls translate the engine's failures themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from roboyard.errors import SimulationError
from roboyard.sim.bodies import BaseState, JointInfo
from roboyard.sim.camera import Camera, Picture, View
from roboyard.sim.dynamics import LinkProperties
from roboyard.sim.pybullet.bodies import read_base, read_joints
from roboyard.sim.pybullet.camera import take_picture, take_view
from roboyard.sim.pybullet.engine import EngineError, pybullet
from roboyard.sim.pybullet.frames import BaseFrame
from roboyard.sim.pybullet.probing import find_bounds, find_overlaps
from roboyard.sim.pybullet.rays import cast_rays
from roboyard.sim.rows import Bounds, ContactRow, Floats, JointColumns, LinkRow, Overlap, RayHits
from roboyard.sim.settings import Quaternion, Vector
from roboyard.sim.world import World

NO_CLIENT = -1
_ANY_LINK = -2
_ANY_BODY = -1
T = TypeVar("T")


class ReadableWorld(World):
    """The part of a world that changes nothing."""

    client: int = NO_CLIENT
    """The engine's id of this world's client; -1 once closed."""
    base_frames: dict[int, BaseFrame]
    """Frames of the bases that were loaded from models; of others the engine's own is told."""

    @property
    def is_closed(self) -> bool:
        """Whether the world was closed."""
        return self.client < 0

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

    def _bound(self, call: Callable[[], T], what: str) -> Callable[[], T]:
        def read() -> T:
            try:
                return call()
            except EngineError as error:
                raise self.failure(f"{what} cannot be read", error) from error

        return read

    # Single questions.

    def joints(self, body: int) -> tuple[JointInfo, ...]:
        """Return the joints of ``body``."""
        with self._engine(f"joints of body {body} cannot be read") as client:
            return read_joints(client, body)

    def base_name(self, body: int) -> str:
        """Return the name of the base link of ``body``."""
        with self._engine(f"the name of body {body} cannot be read") as client:
            name: bytes = pybullet.getBodyInfo(body, physicsClientId=client)[0]
        return name.decode()

    def base(self, body: int) -> BaseState:
        """Return pose and velocity of the base of ``body``."""
        try:
            state = read_base(self.client, body)
        except EngineError as error:
            raise self.failure(f"the base of body {body} cannot be read", error) from error
        frame = self.base_frames.get(body)
        return state if frame is None else frame.state(state)

    def link_properties(self, body: int, link: int) -> LinkProperties:
        """Return the present properties of a link."""
        with self._engine(f"properties of body {body}, link {link} cannot be read") as client:
            info = pybullet.getDynamicsInfo(body, link, physicsClientId=client)
        return LinkProperties(info[0], info[1], info[2], info[5])

    def overlaps(self, body: int, other: int, tolerance: float) -> list[Overlap]:
        """Return the pairs of links that overlap."""
        with self._engine(f"overlaps of body {body} cannot be found") as client:
            return find_overlaps(client, body, other, tolerance)

    def bounds(self, body: int) -> Bounds:
        """Return a box around all links of a body."""
        with self._engine(f"the size of body {body} cannot be read") as client:
            return find_bounds(client, body)

    def cast_rays(self, starts: Floats, ends: Floats) -> RayHits:
        """Cast rays."""
        with self._engine("rays cannot be cast") as client:
            return cast_rays(client, starts, ends)

    def take_picture(self, camera: Camera) -> Picture:
        """Return what ``camera`` sees."""
        with self._engine("no picture can be taken") as client:
            return take_picture(client, camera, window=self.config.gui)

    def take_view(self, view: View, carrier: tuple[int, int] | None = None) -> Picture:
        """Return what a camera at a place, or on a link, sees."""
        with self._engine("no picture can be taken") as client:
            return take_view(client, view, carrier, self.base_frames)

    # Bound calls.

    def joint_reader(
        self, body: int, joints: Sequence[int], torques: bool = False
    ) -> Callable[[], JointColumns]:
        """Return a call that reads ``joints`` of ``body``."""
        sample = partial(pybullet.getJointStates, body, tuple(joints), self.client)

        def read() -> JointColumns:
            try:
                rows = sample()
            except EngineError as error:
                raise self.failure("joint states cannot be read", error) from error
            positions, velocities = [], []
            for position, velocity, _, _ in rows:
                positions.append(position)
                velocities.append(velocity)
            return positions, velocities, [row[3] for row in rows] if torques else []

        return read

    def link_reader(
        self, body: int, links: Iterable[int], velocities: bool = True, fresh: bool = False
    ) -> Callable[[], Sequence[LinkRow]]:
        """Return a call that reads ``links`` of ``body``."""
        links = tuple(links)
        call = partial(
            pybullet.getLinkStates, body, links, int(velocities), int(fresh), self.client
        )
        return self._bound(call, "link states")

    def pose_reader(self, body: int) -> Callable[[], tuple[Vector, Quaternion]]:
        """Return a call that reads the pose of the base of ``body``."""
        call = partial(pybullet.getBasePositionAndOrientation, body, self.client)
        read = self._bound(call, f"the base of body {body}")
        frame = self.base_frames.get(body)
        return read if frame is None else lambda: frame.link_pose(*read())

    def velocity_reader(self, body: int) -> Callable[[], tuple[Vector, Vector]]:
        """Return a call that reads the velocities of the base of ``body``."""
        call = partial(pybullet.getBaseVelocity, body, self.client)
        read = self._bound(call, f"the base of body {body}")
        frame = self.base_frames.get(body)
        if frame is None:
            return read
        turn = partial(pybullet.getBasePositionAndOrientation, body, self.client)
        return lambda: frame.link_velocity(turn()[1], *read())

    def contact_reader(
        self, body: int, other: int | None = None
    ) -> Callable[[], Sequence[ContactRow]]:
        """Return a call that reads contacts of ``body``."""
        other = _ANY_BODY if other is None else other
        call = partial(pybullet.getContactPoints, body, other, _ANY_LINK, _ANY_LINK, self.client)
        return self._bound(call, "contacts")

    def link_pose_reader(self, body: int, link: int) -> Callable[[], tuple[Vector, Quaternion]]:
        """Return a call that gives the pose of a link's centre of mass, computed anew."""
        call = partial(
            pybullet.getLinkState,
            body,
            link,
            computeForwardKinematics=1,
            physicsClientId=self.client,
        )

        def read() -> tuple[Vector, Quaternion]:
            try:
                position, orientation, *_ = call()
            except EngineError as error:
                raise self.failure("a link's pose cannot be read", error) from error
            return position, orientation

        return read

    def pose_solver(self, body: int, link: int) -> Callable[[Vector, Quaternion], dict[int, float]]:
        """Return a call that brings ``link`` towards a pose, by damped least squares."""
        movable = [joint.index for joint in self.joints(body) if joint.is_movable]
        call = partial(pybullet.calculateInverseKinematics, body, link, physicsClientId=self.client)

        def solve(position: Vector, orientation: Quaternion) -> dict[int, float]:
            try:
                return dict(zip(movable, call(position, orientation), strict=True))
            except EngineError as error:
                raise self.failure("inverse kinematics failed", error) from error

        return solve

    def motion(self) -> list[float]:
        """Return positions and velocities of all bodies."""
        numbers: list[float] = []
        for body in self.bodies:
            for vector in self.base(body):
                numbers += vector
            joints = [joint.index for joint in self.joints(body)]
            if joints:
                positions, velocities, _ = self.joint_reader(body, joints)()
                numbers += (*positions, *velocities)
        return numbers
