"""A robot looked at before training: its joints and links, and what would make training fail."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roboyard.config.robots import ActuatorConfig, RobotSpec
from roboyard.robots import description
from roboyard.robots.comparison import ComparedRow, compare_models
from roboyard.robots.loading import described_model, simulated_model
from roboyard.robots.normalization import grouped
from roboyard.robots.robot import BASE, MJCF, Robot, choose_body, load_bodies
from roboyard.robots.spec import find_asset, load_robot
from roboyard.sim import Camera, JointInfo, LinkProperties, World, open_world
from roboyard.sim.rows import Bounds

_SUFFIXES = (".urdf", ".xacro", ".sdf", *MJCF)
_TOLERANCE = 0.002
"""Overlap that does not count [m]; about the collision margin of meshes."""
_SLACK = 1e-6
_MAX_NAMES = 6


class LinkRow(NamedTuple):
    """One link."""

    number: int
    """Its index among the links; -1 is the base."""
    name: str
    """Its name."""
    mass: LinkProperties
    """Its mass and inertia."""


class RobotReport(NamedTuple):
    """What a robot is like."""

    name: str
    """Its file's name."""
    file: Path
    """Its description."""
    joints: tuple[JointInfo, ...]
    """Joints in the engine's order."""
    links: tuple[LinkRow, ...]
    """Links in the engine's order, the base first."""
    total_mass: float
    """Mass of all links [kg]; without the base if that is fixed and has none."""
    bounds: Bounds
    """Box around the robot at its initial pose."""
    warnings: tuple[str, ...]
    """What is likely to make training fail, one sentence each."""
    compared: tuple[ComparedRow, ...]
    """The file's figures beside those that are simulated; none of ``compat`` robots."""
    picture: NDArray[np.uint8] | None
    """The robot at its initial pose, shape (height, width, 3), if it was asked for."""


def inspect_robot(
    source: str | Path, *, fixed_base: bool = False, with_picture: bool = False
) -> RobotReport:
    """Load a robot and say what it is like.

    Args:
        source: URDF or MJCF file, YAML file of a spec, or name in the catalogue.
        fixed_base: Fix the base of a URDF file; a spec says it itself.
        with_picture: Whether to take a picture.

    Raises:
        RobotDescriptionError: It cannot be loaded; the message says why.
    """
    is_bare = str(source).lower().endswith(_SUFFIXES)
    spec = _bare_spec(str(source), fixed_base) if is_bare else load_robot(source)
    with open_world() as world:
        ground = world.load_plane()
        if is_bare:
            bodies = load_bodies(world, spec)
            body = choose_body(world, spec, bodies)
            actuated = {j.name: 0.0 for j in world.joints(body) if j.is_movable}
        else:
            robot = Robot(world, spec)
            body = robot.body
            driven_at = robot.initial_positions[robot.actuated].tolist()
            names = [robot.joint_names[index] for index in robot.actuated]
            actuated = dict(zip(names, driven_at, strict=True))
        joints = world.joints(body)
        driven = [joint for joint in joints if joint.name in actuated]
        links = _links(world, body, joints)
        bounds = world.bounds(body)
        warnings = (
            *_file_warnings(world, spec),
            *_mass_warnings(joints, links, bounds),
            *_limit_warnings(spec, driven, is_bare),
            *_start_warnings(driven, actuated),
            *_pose_warnings(world, spec, body, ground, links),
        )
        return RobotReport(
            Path(spec.file).stem,
            find_asset(spec.file),
            joints,
            links,
            sum(link.mass.mass for link in links),
            bounds,
            warnings,
            _compared(world, spec),
            _picture(world, ground, bounds) if with_picture else None,
        )


def _bare_spec(file: str, fixed_base: bool) -> RobotSpec:
    return RobotSpec(
        file=file,
        fixed_base=fixed_base,
        self_collision="exclude_all_parents",
        actuators=(ActuatorConfig(joints=("*",)),),
    )


def _links(world: World, body: int, joints: tuple[JointInfo, ...]) -> tuple[LinkRow, ...]:
    names = [(BASE, world.base_name(body)), *((j.index, j.link) for j in joints)]
    return tuple(LinkRow(index, name, world.link_properties(body, index)) for index, name in names)


def _file_warnings(world: World, spec: RobotSpec) -> list[str]:
    file = find_asset(spec.file)
    if not spec.compat:
        return grouped(simulated_model(spec, file, world.max_links).remarks)
    inertias = description.inertia_faults(file) if spec.inertia == "file" else []
    return [*description.words_for_numbers(file), *inertias]


def _compared(world: World, spec: RobotSpec) -> tuple[ComparedRow, ...]:
    if spec.compat:
        return ()  # The engine reads the file itself.
    file = find_asset(spec.file)
    return compare_models(described_model(spec, file), simulated_model(spec, file, world.max_links))


def _mass_warnings(
    joints: tuple[JointInfo, ...], links: tuple[LinkRow, ...], bounds: Bounds
) -> list[str]:
    masses = {link.number: link.mass.mass for link in links}
    carried = dict(masses)
    for joint in reversed(joints):  # children come after their parents
        carried[joint.parent] += carried[joint.index]
    light = [joint.name for joint in joints if joint.is_movable and not carried[joint.index] > 0]
    found = [f"{_joints(light)} nothing that has a mass"] if light else []
    size = float(np.linalg.norm(np.subtract(bounds.upper, bounds.lower)))
    large = [
        link.name for link in links if max(link.mass.inertia) > link.mass.mass * size**2 > 0
    ]  # fmt: skip
    if large:
        found.append(
            f"inertias too large for the masses in a robot of {size:.2g} m: {_listed(large)}; if "
            "they are placeholders, set inertia: shapes"
        )
    return found


def _joints(names: list[str]) -> str:
    """Return the start of a sentence on joints that move something."""
    return f"joint {_listed(names)} moves" if len(names) == 1 else f"joints {_listed(names)} move"


def _limit_warnings(spec: RobotSpec, joints: list[JointInfo], is_bare: bool) -> list[str]:
    endless = description.endless_joints(find_asset(spec.file))
    unlimited = [j.name for j in joints if j.lower > j.upper and j.name not in endless]
    no_effort = [j.name for j in joints if not j.max_force > 0]
    no_velocity = [j.name for j in joints if not j.max_velocity > 0]
    found = []
    if unlimited:
        found.append(f"no position limits: {_listed(unlimited)}")
    # The scale of an actuator of torques limits them.
    groups = [group for group in spec.actuators if is_bare or group.control != "torque"]
    if no_effort and any(group.effort_limit is None for group in groups):
        found.append(
            f"no effort limit: {_listed(no_effort)}; give actuators.effort_limit, or motors are "
            "as strong as they like"
        )
    if no_velocity and is_bare:
        found.append(f"no velocity limit: {_listed(no_velocity)}")
    return found


def _start_warnings(joints: list[JointInfo], positions: dict[str, float]) -> list[str]:
    outside = [
        j.name for j in joints if j.lower <= j.upper
        and not j.lower - _SLACK <= positions[j.name] <= j.upper + _SLACK
    ]  # fmt: skip
    if not outside:
        return []
    return [f"initial positions beyond the limits: {_listed(outside)}; give joint_positions"]


def _pose_warnings(
    world: World, spec: RobotSpec, body: int, ground: int, links: tuple[LinkRow, ...]
) -> list[str]:
    names = {link.number: link.name for link in links}
    found = [
        f"links '{names[pair.link]}' and '{names[pair.other]}' overlap by "
        f"{pair.depth * 1000:.0f} mm at the initial pose, and fight where self_collision is on"
        for pair in world.overlaps(body, body, _TOLERANCE)
    ]
    below = world.overlaps(body, ground, _TOLERANCE)
    is_fixed = spec.fixed_base or not links[0].mass.mass > 0
    below = [pair for pair in below if not (is_fixed and pair.link <= 0)]
    if below:
        x, y, z = spec.position or (0.0, 0.0, 0.0)
        found.append(
            f"link '{names[below[0].link]}' is {below[0].depth:.3f} m below the ground at the "
            f"initial pose; give position: [{x:g}, {y:g}, {z + below[0].depth:.3f}] or other "
            "joint_positions" + ("" if is_fixed else ", or fix the base")
        )
    return found


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(f"'{name}'" for name in names[:_MAX_NAMES]) + more


def _picture(world: World, ground: int, bounds: Bounds) -> NDArray[np.uint8]:
    """Take a picture, with the ground lowered to where it hides nothing."""
    base = world.base(ground)
    lowest = min(0.0, bounds.lower[2])
    world.set_base(ground, base._replace(position=(0.0, 0.0, lowest)))
    return world.render(_camera(bounds))


def _camera(bounds: Bounds) -> Camera:
    lower, upper = np.array(bounds.lower), np.array(bounds.upper)
    x, y, z = ((lower + upper) / 2).tolist()
    size = max(0.1, float(np.linalg.norm(upper - lower)))
    return Camera(
        target=(x, y, z), distance=1.5 * size, yaw=50, width=960, height=720, near=size / 100,
        far=100 * size,
    )  # fmt: skip
