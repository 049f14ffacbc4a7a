"""Control of a link's position: actions move an end effector, inverse kinematics the joints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roboyard.config.robots import ActuatorConfig
from roboyard.errors import RobotDescriptionError
from roboyard.robots.actuators import (
    Actuator,
    Floats,
    PDActuator,
    PositionActuator,
    TorqueActuator,
    VelocityActuator,
)
from roboyard.robots.matching import per_joint
from roboyard.robots.thrusters import ThrustActuator
from roboyard.sim.rotations import quaternion

if TYPE_CHECKING:
    from roboyard.robots.robot import Robot

AXES = ("x", "y", "z")


class CartesianActuator(PositionActuator):
    """Actions are displacements of a link from where it is; it keeps its orientation.

    The joint positions that bring it there are computed once per control step, limited to the
    joints' ranges, and held by the engine's motors. Source: the end-effector control of panda-gym
    (Gallouédec et al. 2021).
    """

    unit = "m"

    def __init__(self, robot: Robot, config: ActuatorConfig, where: str) -> None:
        """Find the link and the joints that move it.

        Raises:
            RobotDescriptionError: The link is the base, which no joint moves.
        """
        super().__init__(robot, config, where)
        self._link = robot.link(str(config.link), f"{where}.link")
        if self._link < 0:
            raise RobotDescriptionError(
                f"{where}.link: '{config.link}' is the base, which no joint moves; name a link "
                "at the end of the joints."
            )
        lower, upper = robot.lower[self.indices], robot.upper[self.indices]
        self._lower = np.where(upper > lower, lower, -np.inf)
        self._upper = np.where(upper > lower, upper, np.inf)
        corners = config.workspace or ((-np.inf,) * 3, (np.inf,) * 3)
        self._low, self._high = np.array(corners[0]), np.array(corners[1])
        self._solve = robot.world.pose_solver(robot.body, self._link)
        self._read = robot.world.link_pose_reader(robot.body, self._link)
        self._orientation = (
            self._read()[1] if config.rotation is None else quaternion(config.rotation)
        )

    @property
    def entries(self) -> tuple[str, ...]:
        """The link's name with each axis."""
        return tuple(f"{self.config.link}.{axis}" for axis in AXES)

    def command(self, action: Floats) -> None:
        """Aim at where the link is, plus the action times ``scale`` [m], shape (3,)."""
        here = np.array(self._read()[0])
        x, y, z = np.clip(here + self.scale * action, self._low, self._high).tolist()
        solved = self._solve((x, y, z), self._orientation)
        joints = np.array([solved[joint] for joint in self.joints])
        self._aim(np.clip(joints, self._lower, self._upper))

    def _scales(self, where: str) -> Floats:
        return per_joint(self.config.scale, self.entries, f"{where}.scale", kind="entry")

    def _offset(self, robot: Robot, where: str) -> Floats:
        del robot, where  # Unused.
        return np.zeros(len(AXES))


ACTUATORS: dict[str, type[Actuator]] = {
    "torque": TorqueActuator,
    "velocity": VelocityActuator,
    "position": PositionActuator,
    "pd": PDActuator,
    "cartesian": CartesianActuator,
    "thrust": ThrustActuator,
}
"""Control modes of ``ActuatorConfig.control``."""
