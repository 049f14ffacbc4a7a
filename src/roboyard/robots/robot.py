"""A robot: a spec bound to a world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboyard.config.robots import RobotSpec
from roboyard.errors import RobotDescriptionError
from roboyard.robots.actuators import Actuator
from roboyard.robots.description import check_description
from roboyard.robots.effectors import ACTUATORS
from roboyard.robots.loading import load_model
from roboyard.robots.matching import match_names, per_joint, shown
from roboyard.robots.spec import find_asset
from roboyard.sim import BaseState, Dynamics, Placement, RobotDescription, World
from roboyard.sim.descriptions import MJCF_SUFFIXES as MJCF
from roboyard.sim.descriptions import InertiaSource
from roboyard.sim.rotations import quaternion
from roboyard.sim.rows import BASE

Floats = NDArray[np.float64]

__all__ = ["BASE", "MJCF", "Robot", "choose_body", "find_body", "load_bodies"]


class Robot:
    """One articulated body in a world, with its names resolved.

    Arrays of joints run over ``joint_names``: the joints with one degree of freedom, in file
    order, without those that the spec ignores.
    """

    def __init__(self, world: World, spec: RobotSpec) -> None:
        """Load the robot into ``world`` and put it into its initial state.

        Raises:
            RobotDescriptionError: The file or the spec is wrong; the message names the place.
        """
        self.world = world
        self.spec = spec
        self.name = Path(spec.file).stem
        self.bodies = load_bodies(world, spec)
        """Everything that its file describes."""
        self.body = choose_body(world, spec, self.bodies)
        """The world's number of the robot itself."""
        self.base_name = world.base_name(self.body)
        self._all_joints = world.joints(self.body)
        self.link_names = tuple(joint.link for joint in self._all_joints)
        """Names of the links, by their numbers; the base is not among them."""
        ignored = self._match(spec.ignored_joints, [j.name for j in self._all_joints], "joint",
                              "ignored_joints")  # fmt: skip
        self.joints = tuple(j for j in self._all_joints if j.is_movable and j.index not in ignored)
        self.joint_names = tuple(joint.name for joint in self.joints)
        self.joint_indices = tuple(joint.index for joint in self.joints)
        """The world's numbers of the joints."""
        self.lower: Floats = np.array([joint.lower for joint in self.joints])
        """Lower limits [rad] or [m], shape (joints,); above ``upper`` where there is none."""
        self.upper: Floats = np.array([joint.upper for joint in self.joints])
        """Upper limits [rad] or [m], shape (joints,)."""
        self.half_ranges: Floats = np.maximum((self.upper - self.lower) / 2, 0.0)
        """Half of the way between the limits [rad] or [m]; 0 where there are none."""
        self._check_numbers()
        self.base_link = BASE if spec.base_link is None else self.link(spec.base_link, "base_link")
        """Index of the link whose pose counts as the robot's; -1 is the base."""
        self.feet = tuple(self.links(spec.feet, "feet"))
        """Indices of the links that are meant to touch the ground."""
        self.initial_positions = self._initial_positions()
        """Joint positions after loading [rad] or [m], shape (joints,)."""
        self._apply_overrides()
        self._place()
        self.actuators = self._build_actuators()
        """Groups of actuated joints in the order of the action."""
        self.actuated = np.concatenate([actuator.indices for actuator in self.actuators])
        """Positions in ``joint_names`` of the joints that the action drives, shape (actuated,)."""
        self._bounds = np.cumsum([0, *(len(a.entries) for a in self.actuators)]).tolist()
        self.num_actions: int = self._bounds[-1]
        """Entries of the action."""

    @property
    def action_names(self) -> tuple[str, ...]:
        """What each entry of the action drives: mostly a joint."""
        return tuple(name for actuator in self.actuators for name in actuator.entries)

    def link(self, name: str, where: str = "link") -> int:
        """Return the index of one link; ``base`` and the base's own name are -1.

        Raises:
            RobotDescriptionError: No link, or more than one, matches.
        """
        found = self.links((name,), where)
        if len(found) > 1:
            names = [self.link_name(index) for index in found]
            raise RobotDescriptionError(
                f"robot '{self.name}': {where}: '{name}' matches {len(found)} links "
                f"({shown(names)}); name one of them."
            )
        return found[0]

    def links(self, patterns: tuple[str, ...], where: str = "links") -> list[int]:
        """Return the indices of the links that patterns mean; ``base`` is -1.

        Raises:
            RobotDescriptionError: A pattern matches nothing.
        """
        found: list[int] = []
        for pattern in patterns:
            if pattern in ("base", self.base_name) and pattern not in self.link_names:
                found.append(BASE)
            else:
                found += self._match((pattern,), self.link_names, "link", where)
        return list(dict.fromkeys(found))

    def link_name(self, index: int) -> str:
        """Return a link's name."""
        return self.base_name if index == BASE else self.link_names[index]

    def joint_positions_of(self, patterns: tuple[str, ...], where: str = "joints") -> list[int]:
        """Return positions in ``joint_names`` that patterns mean.

        Raises:
            RobotDescriptionError: A pattern matches nothing.
        """
        return self._match(patterns, self.joint_names, "joint", where)

    def set_joints(self, which: list[int], positions: Floats, velocities: Floats) -> None:
        """Put some joints (positions in ``joint_names``) into a state [rad, rad/s]."""
        engine = [self.joint_indices[index] for index in which]
        self.world.set_joint_states(self.body, engine, positions, velocities)

    def command(self, action: Floats) -> None:
        """Take an action, limited to [-1, 1], shape (actions,), for this control step."""
        if len(self.actuators) == 1:
            self.actuators[0].command(action)
            return
        for actuator, start, end in zip(
            self.actuators, self._bounds[:-1], self._bounds[1:], strict=True
        ):
            actuator.command(action[start:end])

    def drive(self) -> None:
        """Tell the engine what it needs before each of its steps.

        Raises:
            SimulationError: The world is closed.
        """
        for actuator in self.actuators:
            actuator.drive()

    def _where(self, place: str) -> str:
        return f"robot '{self.name}': {place}"

    def _match(
        self, patterns: tuple[str, ...], names: list[str] | tuple[str, ...], kind: str, where: str
    ) -> list[int]:
        return match_names(patterns, names, kind, self._where(where))

    def _check_numbers(self) -> None:
        for joint in self.joints:
            if not np.isfinite([joint.lower, joint.upper, joint.max_force, *joint.axis]).all():
                raise RobotDescriptionError(
                    f"robot '{self.name}': joint '{joint.name}' has limits, effort or axis that "
                    f"are not numbers: [{joint.lower}, {joint.upper}], {joint.max_force}."
                )

    def _initial_positions(self) -> Floats:
        given = per_joint(
            self.spec.joint_positions, self.joint_names, self._where("joint_positions"), np.nan
        )
        zero = np.zeros(len(self.joints))
        return np.where(np.isnan(given), zero, given)

    def _apply_overrides(self) -> None:
        for pattern, link in self.spec.links.items():
            for index in self.links((pattern,), "links"):
                self.world.set_dynamics(self.body, index, Dynamics(**link.model_dump()))
        for pattern, joint in self.spec.joints.items():
            for found in self.joint_positions_of((pattern,), "joints"):
                index = self.joint_indices[found]
                if joint.damping is not None:
                    self.world.set_dynamics(self.body, index, Dynamics(joint_damping=joint.damping))
                if joint.friction is not None:
                    self.world.set_joint_friction(self.body, index, joint.friction)

    def _place(self) -> None:
        is_placed = not (self.spec.compat and self.spec.file.endswith(MJCF))
        if not is_placed and (self.spec.position or self.spec.rotation):
            base = self.world.base(self.body)
            turned = quaternion(self.spec.rotation) if self.spec.rotation else base.orientation
            position = self.spec.position or base.position
            still = (0.0, 0.0, 0.0)
            self.world.set_base(self.body, BaseState(position, turned, still, still))
        if self.initial_positions.any():
            everything = list(range(len(self.joints)))
            self.set_joints(everything, self.initial_positions, np.zeros(len(everything)))

    def _build_actuators(self) -> tuple[Actuator, ...]:
        actuators = tuple(
            ACTUATORS[config.control](self, config, self._where(f"actuators.{number}"))
            for number, config in enumerate(self.spec.actuators)
        )
        names = [name for actuator in actuators for name in actuator.names]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise RobotDescriptionError(
                f"robot '{self.name}': actuators: {shown(twice)} stand in more than one group."
            )
        return actuators


def load_bodies(world: World, spec: RobotSpec) -> tuple[int, ...]:
    """Load a robot's file and return the bodies that it describes.

    Raises:
        RobotDescriptionError: The file is missing or wrong; the message names the place.
    """
    file = find_asset(spec.file)
    if not spec.compat:
        return (load_model(world, spec, file),)
    check_description(file)
    inertia: InertiaSource = "shapes" if spec.inertia == "shapes" else "file"
    described = RobotDescription(file, spec.fixed_base, spec.scale, inertia, spec.self_collision)
    origin = (0.0, 0.0, 0.0)
    place = Placement(spec.position or origin, quaternion(spec.rotation or origin))
    return world.load_robot(described, place)


def choose_body(world: World, spec: RobotSpec, bodies: tuple[int, ...]) -> int:
    """Return the one of ``bodies`` that is the robot.

    Raises:
        RobotDescriptionError: None has the link that the spec names.
    """
    if spec.body is None:
        return max(bodies, key=lambda body: len(world.joints(body)))
    return find_body(world, spec.body, bodies, f"robot '{Path(spec.file).stem}': body")


def find_body(world: World, link: str, bodies: tuple[int, ...], where: str) -> int:
    """Return the one of ``bodies`` that has a link of this name.

    Raises:
        RobotDescriptionError: None has.
    """
    for body in bodies:
        names = [world.base_name(body), *(j.link for j in world.joints(body))]
        if link in names:
            return body
    known = [j.link for body in bodies for j in world.joints(body)]
    raise RobotDescriptionError(f"{where}: no body has a link '{link}'. Links: {shown(known)}.")
