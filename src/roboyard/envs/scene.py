"""What a task loads into its world: ground, robot, objects, in this order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

from roboyard.config.grounds import GroundConfig
from roboyard.config.objects import ObjectConfig
from roboyard.config.tasks import TaskConfig
from roboyard.errors import ConfigError, RobotDescriptionError
from roboyard.registry import suggest
from roboyard.robots import Robot, load_robot
from roboyard.robots.reading import Thing
from roboyard.robots.robot import find_body
from roboyard.robots.spec import find_asset
from roboyard.sim import Dynamics, Shape, World
from roboyard.sim.rotations import quaternion
from roboyard.sim.rows import BASE
from roboyard.sim.terrain import Terrain, make_terrain

_SLIGHT = 1e-3
"""Overlap that does not count [m]; things that rest on each other have some."""


class Scene(NamedTuple):
    """What a world holds."""

    robot: Robot
    """The robot."""
    grounds: tuple[int, ...]
    """Bodies that count as ground."""
    things: dict[str, Thing]
    """Objects beside the robot, by name."""
    terrain: Terrain | None = None
    """The terrain, if the ground is one."""
    ground_level: float = 0.0
    """Height of the ground where it is flat [m]."""

    def height_at(self, x: float, y: float) -> float:
        """Return the height of the ground at x and y [m]."""
        return self.ground_level if self.terrain is None else self.terrain.height_at(x, y)


def load_scene(world: World, task: TaskConfig) -> Scene:
    """Load what ``task`` describes into an empty world.

    Raises:
        ConfigError: An object marks a command that there is not.
        RobotDescriptionError: Something in it is wrong; the message names the place.
    """
    terrain = make_terrain(task.ground.terrain) if task.ground.type == "terrain" else None
    grounds = _load_ground(world, task.ground, terrain)
    robot = Robot(world, load_robot(task.robot))
    things = {
        name: _load_object(robot, config, f"objects.{name}")
        for name, config in task.objects.items()
    }
    _check_marks(task)
    _check_overlaps(robot, grounds, things, task.objects)
    return Scene(robot, grounds, things, terrain, task.ground.height)


def _load_ground(world: World, config: GroundConfig, terrain: Terrain | None) -> tuple[int, ...]:
    if config.type == "none":
        return ()
    if terrain is not None:
        body = world.load_terrain(terrain)
    else:
        height = config.height
        body = world.load_stadium() if config.type == "stadium" else world.load_plane(height)
    changes = Dynamics(lateral_friction=config.friction, restitution=config.restitution)
    world.set_dynamics(body, BASE, changes)
    return (body,)


def _load_object(robot: Robot, config: ObjectConfig, where: str) -> Thing:
    if config.link is None:
        return Thing(_add_body(robot.world, config, where), BASE)
    body = find_body(robot.world, config.link, robot.bodies, where)
    links = [joint.link for joint in robot.world.joints(body)]
    return Thing(body, links.index(config.link) if config.link in links else BASE)


def _add_body(world: World, config: ObjectConfig, where: str) -> int:
    try:
        shape = _shape(config)
    except RobotDescriptionError as error:
        raise RobotDescriptionError(f"{where}: {error}") from error
    body = world.add_shape(shape, config.position, quaternion(config.rotation))
    changes = Dynamics(
        lateral_friction=config.friction,
        spinning_friction=config.spinning_friction,
        restitution=config.restitution,
    )
    world.set_dynamics(body, BASE, changes)
    return body


def _shape(config: ObjectConfig) -> Shape:
    assert config.shape is not None
    size, file = config.size, ""
    if config.shape == "box":
        size = tuple(edge / 2 for edge in size)
    if config.file is not None:
        size, file = (config.scale,), str(find_asset(config.file))
    return Shape(config.shape, size, config.mass, config.color, config.is_solid, file)


def _check_marks(task: TaskConfig) -> None:
    for name, config in task.objects.items():
        if config.marks is not None and config.marks not in task.commands:
            known = tuple(task.commands)
            raise ConfigError(
                f"objects.{name}.marks: the task has no command '{config.marks}'."
                f"{suggest(config.marks, known)} It has: {', '.join(known) or 'none'}."
            )


def _check_overlaps(
    robot: Robot,
    grounds: tuple[int, ...],
    things: Mapping[str, Thing],
    configs: Mapping[str, ObjectConfig],
) -> None:
    """Refuse objects that are inside of anything, which would throw them away.

    Raises:
        RobotDescriptionError: One is; the message names both and how deep it is.
    """
    solid = {n: things[n].body for n, c in configs.items() if c.link is None and c.is_solid}
    others = {f"robot '{robot.name}'": robot.body}
    others |= dict(zip(("the ground",), grounds, strict=False))
    pairs = [
        *itertools.product(solid.items(), others.items()),
        *itertools.combinations(solid.items(), 2),
    ]
    for (name, body), (other_name, other) in pairs:
        for overlap in robot.world.overlaps(body, other, _SLIGHT):
            at = f" (link '{robot.link_name(overlap.other)}')" if other == robot.body else ""
            what = other_name if other_name in others else f"objects.{other_name}"
            raise RobotDescriptionError(
                f"objects.{name}: overlaps {what}{at} by {overlap.depth * 1000:.0f} mm where it "
                "is loaded; change its position or size."
            )
