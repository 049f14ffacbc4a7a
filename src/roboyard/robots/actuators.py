"""Actuators: what turns actions into torques, velocities or positions of joints.

``command`` takes the action once per control step; ``drive`` is called before each engine call,
for whatever the engine forgets after it (torques) or has to be computed anew (PD control).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from roboyard.config.robots import ActuatorConfig, PerJoint
from roboyard.robots.matching import match_names, per_joint
from roboyard.sim import JointReader

if TYPE_CHECKING:
    from roboyard.robots.robot import Robot

Floats = NDArray[np.float64]


class Actuator(ABC):
    """A group of joints with one control mode."""

    unit: ClassVar[str]
    """Unit of what an action becomes."""
    knows_torques: ClassVar[bool] = False
    """Whether ``torques`` are known; else the engine's motors have them."""
    RANDOMIZED: ClassVar[tuple[str, ...]] = ("scale", "offset", "effort_limit")
    """Arrays that randomisation may change between :meth:`restore_nominal` calls."""

    def __init__(self, robot: Robot, config: ActuatorConfig, where: str) -> None:
        """Resolve names and numbers; ``where`` is the place for messages."""
        self.config = config
        found = match_names(config.joints, robot.joint_names, "joint", where)
        self.indices = np.array(found, dtype=np.intp)
        """Positions of the joints in ``robot.joint_names``, shape (joints,)."""
        self.names = tuple(robot.joint_names[index] for index in self.indices)
        self.joints = tuple(robot.joint_indices[index] for index in self.indices)
        """The world's numbers of the joints."""
        self.scale = self._scales(where)
        self.offset = self._offset(robot, where)
        self.effort_limit = self._effort_limit(robot, where)
        self.torques: Floats = np.zeros(len(self.names))
        """Torques commanded last [N m] or [N], where this mode knows them, shape (joints,)."""
        self._robot = robot
        self._where = where

    @property
    def entries(self) -> tuple[str, ...]:
        """What each entry of the action moves: a joint, or all of them together."""
        return ("+".join(self.names),) if self.config.together else self.names

    def keep_nominal(self) -> None:
        """Take the present numbers for nominal; called once the spec is resolved."""
        self._nominal = {name: getattr(self, name).copy() for name in self.RANDOMIZED}

    def reset(self) -> None:
        """Start an episode: nothing was commanded, and nothing is randomised."""
        self.torques = np.zeros(len(self.names))
        self.restore_nominal()

    def restore_nominal(self) -> None:
        """Undo every randomisation of gains, limits, scales and offsets."""
        for name, values in self._nominal.items():
            getattr(self, name)[:] = values

    def get_state(self) -> dict[str, Floats]:
        """Return what the last command left, and what randomisation may have changed."""
        return {name: getattr(self, name).copy() for name in ("torques", *self.RANDOMIZED)}

    def set_state(self, state: Mapping[str, Floats]) -> None:
        """Take over what :meth:`get_state` returned."""
        self.torques = np.array(state.get("torques", np.zeros(len(self.names))))
        for name in self.RANDOMIZED:
            getattr(self, name)[:] = state[name]

    def strengthen(self, factors: Floats) -> None:
        """Multiply what the motors give, and the most that they can give, shape (joints,)."""
        self.effort_limit *= factors

    def _scales(self, where: str) -> Floats:
        return per_joint(self.config.scale, self.names, f"{where}.scale")

    def _offset(self, robot: Robot, where: str) -> Floats:
        if self.config.offset == "initial":
            initial: Floats = robot.initial_positions[self.indices].copy()
            return initial
        return per_joint(self.config.offset, self.names, f"{where}.offset")

    def _effort_limit(self, robot: Robot, where: str) -> Floats:
        """Return limits, from the description where the spec has none; infinite if both lack."""
        described = [joint.max_force for joint in robot.joints]
        return self._limit(self.config.effort_limit, described, f"{where}.effort_limit")

    def _velocity_limit(self, robot: Robot, where: str) -> Floats:
        """Return largest velocities to aim at; of compat robots only the spec's count."""
        is_compat = robot.spec.compat
        described = [0.0 if is_compat else joint.max_velocity for joint in robot.joints]
        return self._limit(self.config.velocity_limit, described, f"{where}.velocity_limit")

    def _limit(self, limit: PerJoint | None, described: list[float], where: str) -> Floats:
        own = np.array([described[index] or np.inf for index in self.indices])
        if limit is None:
            return own
        given = per_joint(limit, self.names, where, default=np.nan)
        return np.where(np.isnan(given), own, given)

    def _gains(self, value: PerJoint | None, name: str, default: float) -> Floats:
        return per_joint(default if value is None else value, self.names, f"{self._where}.{name}")

    @abstractmethod
    def command(self, action: Floats) -> None:
        """Take the action, limited to [-1, 1], shape (entries,), for this control step."""

    def drive(self) -> None:
        """Tell the engine what it needs before each of its steps; nothing by default."""
        return


class TorqueActuator(Actuator):
    """Actions are torques."""

    unit = "N m"
    knows_torques = True

    def __init__(self, robot: Robot, config: ActuatorConfig, where: str) -> None:
        """Bind the engine call."""
        super().__init__(robot, config, where)
        self._send = robot.world.torque_writer(robot.body, self.joints)
        self._forces: list[float] = []
        self._has_offset = bool(self.offset.any())
        described_counts = not robot.spec.compat and bool(np.isfinite(self.effort_limit).any())
        self._is_limited = config.effort_limit is not None or described_counts
        self._is_single = config.single_precision
        if self._is_single:
            self.scale = self.scale.astype(np.float32).astype(np.float64)
        self.keep_nominal()

    def strengthen(self, factors: Floats) -> None:
        """Multiply torques and their limit."""
        super().strengthen(factors)
        self.scale *= factors
        self.offset *= factors

    def command(self, action: Floats) -> None:
        """Compute the torques."""
        torques = action * self.scale
        if self._has_offset:
            torques += self.offset
        if self._is_limited:
            np.clip(torques, -self.effort_limit, self.effort_limit, out=torques)
        if self._is_single:
            torques = torques.astype(np.float32).astype(np.float64)
        self.torques = torques
        self._forces = torques.tolist()

    def drive(self) -> None:
        """Apply the torques, which the engine forgets after each step."""
        self._send(self._forces)


class VelocityActuator(Actuator):
    """Actions are velocities, which the engine's motors hold."""

    unit = "rad/s"

    def __init__(self, robot: Robot, config: ActuatorConfig, where: str) -> None:
        """Resolve the numbers."""
        super().__init__(robot, config, where)
        self.velocity_limit = self._velocity_limit(robot, where)
        self.keep_nominal()

    def command(self, action: Floats) -> None:
        """Set the target velocities."""
        self._robot.world.set_velocity_targets(
            self._robot.body,
            self.joints,
            np.clip(self.offset + self.scale * action, -self.velocity_limit, self.velocity_limit),
            self.effort_limit,
        )


class PositionActuator(Actuator):
    """Actions are positions, which the engine's motors hold."""

    unit = "rad"
    RANDOMIZED = ("scale", "offset", "effort_limit", "stiffness", "damping")

    def __init__(self, robot: Robot, config: ActuatorConfig, where: str) -> None:
        """Resolve the gains."""
        super().__init__(robot, config, where)
        self.stiffness = self._gains(config.stiffness, "stiffness", 0.1)
        self.damping = self._gains(config.damping, "damping", 1.0)
        self.velocity_limit = self._velocity_limit(robot, where)
        self._is_capped = bool(np.isfinite(self.velocity_limit).any())
        self._goal: Floats = self.offset.copy()
        self._reader = JointReader(robot.world, robot.body, self.joints)
        self.keep_nominal()

    def command(self, action: Floats) -> None:
        """Set the target positions."""
        self._goal = self.offset + self.scale * action
        if not self._is_capped:
            self._aim(self._goal)

    def drive(self) -> None:
        """Aim no farther than the motor may go at the velocity limit, where there is one.

        The motor aims at the velocity that removes ``stiffness`` of the error in a physics step.
        """
        if self._is_capped:
            self._reader.read()
            here = self._reader.positions
            step = self.velocity_limit * self._robot.world.config.time_step
            reach = step / np.maximum(self.stiffness, _SMALL)
            self._aim(here + np.clip(self._goal - here, -reach, reach))

    def _aim(self, targets: Floats) -> None:
        self._robot.world.set_position_targets(
            self._robot.body,
            self.joints,
            targets,
            self.effort_limit,
            self.stiffness,
            self.damping,
        )


class PDActuator(Actuator):
    """Actions are positions; torques are computed from the error before each engine step."""

    unit = "rad"
    knows_torques = True
    RANDOMIZED = ("scale", "offset", "effort_limit", "stiffness", "damping")

    def __init__(self, robot: Robot, config: ActuatorConfig, where: str) -> None:
        """Resolve the gains."""
        super().__init__(robot, config, where)
        self.stiffness = self._gains(config.stiffness, "stiffness", 0.0)
        self.damping = self._gains(config.damping, "damping", 0.0)
        self.targets: Floats = self.offset.copy()
        """Positions aimed at [rad] or [m], shape (joints,)."""
        self._sample = robot.world.joint_reader(robot.body, self.joints)
        self._send = robot.world.torque_writer(robot.body, self.joints)
        self.keep_nominal()

    def strengthen(self, factors: Floats) -> None:
        """Multiply both gains and the limit, which multiplies the torque."""
        super().strengthen(factors)
        self.stiffness *= factors
        self.damping *= factors

    def command(self, action: Floats) -> None:
        """Set the target positions."""
        self.targets = action * self.scale + self.offset

    def drive(self) -> None:
        """Apply the limited torques for the present error."""
        positions, velocities, _ = self._sample()
        torques = self.stiffness * (self.targets - np.array(positions))
        torques -= self.damping * np.array(velocities)
        # Quicker than clip, at every engine step.
        self.torques = np.minimum(np.maximum(torques, -self.effort_limit), self.effort_limit)
        self._send(self.torques.tolist())


_SMALL = 1e-9
