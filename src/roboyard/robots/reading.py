"""How the record of a robot's state is filled: one function for each part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roboyard.robots.robot import BASE, Robot
from roboyard.sim.rotations import euler_angles, moved_velocity
from roboyard.sim.rows import (
    ANGULAR_VELOCITY,
    CENTER,
    FRAME_ORIENTATION,
    FRAME_POSITION,
    LINK,
    NORMAL_FORCE,
    ORIENTATION,
    OTHER_BODY,
    OTHER_LINK,
    VELOCITY,
    LinkRow,
)

if TYPE_CHECKING:
    from roboyard.robots.state import RobotState

JOINTS = "joints"
MOTORS = "motors"
LINKS = "links"
LINK_MOTION = "link_motion"
BASE_POSE = "base"
GROUND_CONTACTS = "ground_contacts"
CONTACTS = "contacts"
OBJECTS = "objects"
OBJECT_MOTION = "object_motion"
OBJECT_CONTACTS = "object_contacts"
PARTS = frozenset({
    JOINTS, MOTORS, LINKS, LINK_MOTION, BASE_POSE, GROUND_CONTACTS, CONTACTS, OBJECTS,
    OBJECT_MOTION, OBJECT_CONTACTS,
})  # fmt: skip
"""Parts of the record; only those that some term needs are read."""


NO_LINKS: frozenset[int] = frozenset()
"""What touches something where nothing does."""


class Thing(NamedTuple):
    """A link of some body that is not the robot, such as a target or a cube."""

    body: int
    """The world's number of the body."""
    link: int
    """Index of the link, -1 for the base."""


def bind_reads(
    state: RobotState,
    parts: frozenset[str],
    grounds: Sequence[int],
    things: Mapping[str, Thing],
) -> list[Callable[[], None]]:
    """Return one call for each part that is needed, with the engine calls bound to it."""
    robot = state.robot
    reads: list[Callable[[], None]] = []
    if not parts.isdisjoint({JOINTS, MOTORS}) and robot.joints:
        reads.append(_joint_read(state, robot, MOTORS in parts))
    links_are_read = bool(parts & {LINKS, LINK_MOTION} and robot.link_names)
    if links_are_read:
        base_is_link = BASE_POSE in parts and robot.base_link != BASE
        reads.append(_link_read(state, robot, LINK_MOTION in parts or base_is_link))
    if BASE_POSE in parts:
        reads.append(_base_read(state, robot, links_are_read))
    if CONTACTS in parts:
        reads.append(_contact_read(state, robot, frozenset(grounds)))
    elif GROUND_CONTACTS in parts and grounds:
        reads.append(_ground_read(state, robot, grounds))
    if OBJECTS in parts:
        reads += [_object_read(state, robot, name, thing) for name, thing in things.items()]
    if OBJECT_MOTION in parts:
        reads += [_motion_read(state, robot, name, thing) for name, thing in things.items()]
    if OBJECT_CONTACTS in parts:
        reads += [_touch_read(state, robot, name, thing) for name, thing in things.items()]
    return reads


def _joint_read(state: RobotState, robot: Robot, motors: bool) -> Callable[[], None]:
    sample = robot.world.joint_reader(robot.body, robot.joint_indices, motors)
    array = np.array
    has_limits = robot.upper > robot.lower
    span = np.where(has_limits, robot.upper - robot.lower, 1.0)
    slope = np.where(has_limits, 2.0 / span, 0.0)
    shift = np.where(has_limits, -2.0 * robot.lower / span - 1.0, 0.0)

    def read() -> None:
        positions, velocities, torques = sample()
        state.previous_joint_velocities = state.joint_velocities
        state.joint_positions = here = array(positions)
        state.joint_velocities = array(velocities)
        state.joint_fractions = here * slope + shift
        if motors:
            state.motor_torques = torques

    return read


def _link_read(state: RobotState, robot: Robot, velocities: bool) -> Callable[[], None]:
    links = range(len(robot.link_names))
    sample = robot.world.link_reader(robot.body, links, velocities)

    def read() -> None:
        state.link_rows = sample()

    return read


def _base_read(state: RobotState, robot: Robot, links_are_read: bool) -> Callable[[], None]:
    if robot.base_link == BASE:
        return _body_base_read(state, robot)
    link, euler = robot.base_link, euler_angles
    sample = robot.world.link_reader(robot.body, (link,))
    if not robot.spec.compat:
        return _link_frame_read(
            state, (lambda: state.link_rows[link]) if links_are_read else (lambda: sample()[0])
        )

    def read() -> None:
        row = state.link_rows[link] if links_are_read else sample()[0]
        state.base_position, state.base_orientation = row[CENTER], row[ORIENTATION]
        state.base_velocity = row[VELOCITY]
        state.base_angular_velocity = row[ANGULAR_VELOCITY]
        state.base_euler = euler(row[ORIENTATION])

    return read


def _link_frame_read(state: RobotState, sample: Callable[[], LinkRow]) -> Callable[[], None]:
    """Read a link's pose and the velocity of its origin in the frame that its file describes."""

    def read() -> None:
        row = sample()
        state.base_position, state.base_orientation = row[FRAME_POSITION], row[FRAME_ORIENTATION]
        state.base_angular_velocity = turning = row[ANGULAR_VELOCITY]
        (x, y, z), (cx, cy, cz) = row[FRAME_POSITION], row[CENTER]
        state.base_velocity = moved_velocity(row[VELOCITY], turning, (x - cx, y - cy, z - cz))
        state.base_euler = euler_angles(state.base_orientation)

    return read


def _body_base_read(state: RobotState, robot: Robot) -> Callable[[], None]:
    pose = robot.world.pose_reader(robot.body)
    velocity = robot.world.velocity_reader(robot.body)
    euler = euler_angles

    def read() -> None:
        state.base_position, state.base_orientation = pose()
        state.base_velocity, state.base_angular_velocity = velocity()
        state.base_euler = euler(state.base_orientation)

    return read


def _ground_read(state: RobotState, robot: Robot, grounds: Sequence[int]) -> Callable[[], None]:
    samples = [robot.world.contact_reader(robot.body, ground) for ground in grounds]
    if len(samples) == 1:
        (sample,) = samples

        def read_one() -> None:
            rows = sample()
            state.ground_contacts = {row[LINK] for row in rows} if rows else NO_LINKS

        return read_one

    def read() -> None:
        state.ground_contacts = {row[LINK] for sample in samples for row in sample()}

    return read


def _contact_read(state: RobotState, robot: Robot, grounds: frozenset[int]) -> Callable[[], None]:
    sample = robot.world.contact_reader(robot.body)
    body = robot.body

    def read() -> None:
        forces: dict[int, float] = {}
        rows = sample()
        for row in rows:
            forces[row[LINK]] = forces.get(row[LINK], 0.0) + row[NORMAL_FORCE]
            if row[OTHER_BODY] == body:
                forces[row[OTHER_LINK]] = forces.get(row[OTHER_LINK], 0.0) + row[NORMAL_FORCE]
        state.contact_forces = forces
        state.ground_contacts = {row[LINK] for row in rows if row[OTHER_BODY] in grounds}

    return read


def _object_read(state: RobotState, robot: Robot, name: str, thing: Thing) -> Callable[[], None]:
    if thing.link == BASE:
        pose = robot.world.pose_reader(thing.body)

        def read_base() -> None:
            state.objects[name] = pose()[0]

        return read_base
    sample = robot.world.link_reader(thing.body, (thing.link,))

    def read_link() -> None:
        state.objects[name] = sample()[0][CENTER]

    return read_link


def _motion_read(state: RobotState, robot: Robot, name: str, thing: Thing) -> Callable[[], None]:
    if thing.link == BASE:
        pose = robot.world.pose_reader(thing.body)
        velocity = robot.world.velocity_reader(thing.body)

        def read_base() -> None:
            state.object_orientations[name] = pose()[1]
            state.object_velocities[name], state.object_turnings[name] = velocity()

        return read_base
    sample = robot.world.link_reader(thing.body, (thing.link,))

    def read_link() -> None:
        row = sample()[0]
        state.object_orientations[name] = row[ORIENTATION]
        state.object_velocities[name], state.object_turnings[name] = (
            row[VELOCITY],
            row[ANGULAR_VELOCITY],
        )

    return read_link


def _touch_read(state: RobotState, robot: Robot, name: str, thing: Thing) -> Callable[[], None]:
    sample = robot.world.contact_reader(robot.body, thing.body)
    wanted = thing.link

    def read() -> None:
        forces: dict[int, float] = {}
        for row in sample():
            if row[OTHER_LINK] == wanted:
                forces[row[LINK]] = forces.get(row[LINK], 0.0) + row[NORMAL_FORCE]
        state.object_contacts[name] = forces

    return read
