"""Actuators that push links: thrusters and propellers, for robots that fly, float or glide."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from roboyard.config.robots import ActuatorConfig, PerJoint
from roboyard.robots.actuators import Actuator, Floats
from roboyard.robots.matching import match_names, per_joint
from roboyard.sim.rows import BASE, FRAME_ORIENTATION, FRAME_POSITION
from roboyard.sim.settings import Quaternion, Vector

if TYPE_CHECKING:
    from roboyard.robots.robot import Robot
    from roboyard.sim import World

Frame: TypeAlias = tuple[Vector, Quaternion]

_ARM = 0.5
"""Half of the distance between the two forces that make a torque [m]."""


class Thruster(NamedTuple):
    """One link that is pushed."""

    link: int
    point: Vector
    """Where it is pushed, in the link's frame [m]."""


class ThrustActuator(Actuator):
    """Actions are forces along an axis of links, or speeds of propellers that make them.

    A propeller's thrust is ``thrust_coefficient * speed * |speed|``, and its drag turns the link
    about the axis by ``moment_ratio`` times the thrust; the motor's lag is not simulated. Source:
    the rotor model of Mahony, Kumar and Corke, "Multirotor Aerial Vehicles" (2012).
    """

    unit = "N"

    def __init__(self, robot: Robot, config: ActuatorConfig, where: str) -> None:
        """Resolve names and numbers; ``where`` is the place for messages.

        Raises:
            RobotDescriptionError: A pattern matches no link.
        """
        self._links = robot.links(config.links, f"{where}.links")
        self._link_names = tuple(map(robot.link_name, self._links))
        super().__init__(robot, config, where)
        world, body = robot.world, robot.body
        points = self._points(where)
        self._thrusters = tuple(map(Thruster, self._links, points))
        self._read = _frame_reader(world, body, tuple(self._links))
        self._axis = _unit(config.axis)
        self._side = _across(self._axis)
        self.coefficient: Floats | None = None
        """Thrust per squared speed [N s^2/rad^2]; None where actions are thrusts."""
        if config.thrust_coefficient is not None:
            self.coefficient = self._numbers(config.thrust_coefficient, "thrust_coefficient")
        self.moment_ratio = self._numbers(config.moment_ratio, "moment_ratio")
        """Torque about the axis per thrust [m], shape (links,)."""
        limit = np.inf if config.effort_limit is None else config.effort_limit
        self.thrust_limit = self._numbers(limit, "effort_limit", np.inf)
        """Largest forces [N], shape (links,)."""
        self.thrusts: Floats = np.zeros(len(self._links))
        """Forces commanded last [N], shape (links,)."""
        self.keep_nominal()

    @property
    def entries(self) -> tuple[str, ...]:
        """The links that are pushed, or all of them together."""
        return ("+".join(self._link_names),) if self.config.together else self._link_names

    def strengthen(self, factors: Floats) -> None:
        """Do nothing: no joint is driven, and ``factors`` are of joints."""

    def command(self, action: Floats) -> None:
        """Take forces [N] or speeds [rad/s] for this control step."""
        asked = np.broadcast_to(self.offset + self.scale * action, len(self._links))
        if self.coefficient is not None:
            asked = self.coefficient * asked * np.abs(asked)
        self.thrusts = np.clip(asked, -self.thrust_limit, self.thrust_limit)

    def drive(self) -> None:
        """Push, since the engine forgets forces after each step."""
        push, body = self._robot.world.apply_force, self._robot.body
        rows = zip(
            self._thrusters, self._read(), self.thrusts.tolist(), self.moment_ratio.tolist(),
            strict=True,
        )  # fmt: skip
        for thruster, (origin, turn), thrust, ratio in rows:
            place = _sum(origin, _turned(turn, thruster.point))
            push(body, thruster.link, _scaled(_turned(turn, self._axis), thrust), place)
            if ratio:
                # Every engine takes forces; a pair of them that cancel is a torque.
                side = _scaled(_turned(turn, self._side), _ARM)
                force = _turned(turn, _cross(self._axis, self._side))
                force = _scaled(force, thrust * ratio / (2 * _ARM))
                push(body, thruster.link, force, _sum(place, side))
                push(body, thruster.link, _scaled(force, -1.0), _sum(place, _scaled(side, -1.0)))

    def _numbers(self, value: PerJoint, name: str, default: float = 0.0) -> Floats:
        return per_joint(value, self._link_names, f"{self._where}.{name}", default, "link")

    def _scales(self, where: str) -> Floats:
        return per_joint(self.config.scale, self._link_names, f"{where}.scale", kind="link")

    def _offset(self, robot: Robot, where: str) -> Floats:
        del robot  # Unused.
        assert self.config.offset != "initial"
        return per_joint(self.config.offset, self._link_names, f"{where}.offset", kind="link")

    def _effort_limit(self, robot: Robot, where: str) -> Floats:
        del robot, where  # It is a limit of joints, and none is driven.
        return np.zeros(0)

    def _points(self, where: str) -> list[Vector]:
        points: list[Vector] = [(0.0, 0.0, 0.0)] * len(self._links)
        for pattern, point in reversed(self.config.points.items()):
            for index in match_names((pattern,), self._link_names, "link", f"{where}.points"):
                points[index] = point
        return points


def _frame_reader(world: World, body: int, links: tuple[int, ...]) -> Callable[[], list[Frame]]:
    """Return a call that gives the links' frames in the world, the base's included."""
    moved = [link for link in links if link != BASE]
    base = world.pose_reader(body)
    sample = world.link_reader(body, moved, velocities=False, fresh=True) if moved else None

    def read() -> list[Frame]:
        rows = () if sample is None else sample()
        frames = {
            link: (row[FRAME_POSITION], row[FRAME_ORIENTATION])
            for link, row in zip(moved, rows, strict=True)
        }
        return [base() if link == BASE else frames[link] for link in links]

    return read


def _turned(turn: Quaternion, vector: Vector) -> Vector:
    """Return a vector of a frame in the world's."""
    x, y, z, w = turn
    twice = _scaled(_cross((x, y, z), vector), 2.0)
    return _sum(_sum(vector, _scaled(twice, w)), _cross((x, y, z), twice))


def _across(axis: Vector) -> Vector:
    """Return a unit vector at a right angle to a unit vector."""
    other = (1.0, 0.0, 0.0) if abs(axis[0]) < _ARM else (0.0, 1.0, 0.0)
    return _unit(_cross(axis, other))


def _unit(vector: Vector) -> Vector:
    return _scaled(vector, 1.0 / math.hypot(*vector))


def _scaled(vector: Vector, factor: float) -> Vector:
    return vector[0] * factor, vector[1] * factor, vector[2] * factor


def _sum(one: Vector, other: Vector) -> Vector:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _cross(one: Vector, other: Vector) -> Vector:
    a, b, c = one
    x, y, z = other
    return b * z - c * y, c * x - a * z, a * y - b * x
