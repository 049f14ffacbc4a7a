"""What a task loads into its world: ground, robot, objects, in this order."""

from __future__ import annotations

from typing import NamedTuple

from roboyard.config.grounds import GroundConfig
from roboyard.config.tasks import ObjectConfig, TaskConfig
from roboyard.robots import Robot, load_robot
from roboyard.robots.reading import Thing
from roboyard.robots.robot import find_body
from roboyard.sim import Dynamics, World
from roboyard.sim.ground import load_stadium
from roboyard.sim.terrain import Terrain, load_terrain, make_terrain


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


def load_scene(world: World, task: TaskConfig) -> Scene:
    """Load what ``task`` describes into an empty world.

    Raises:
        RobotDescriptionError: Something in it is wrong; the message names the place.
    """
    terrain = make_terrain(task.ground.terrain) if task.ground.type == "terrain" else None
    grounds = _load_ground(world, task.ground, terrain)
    robot = Robot(world, load_robot(task.robot))
    things = {
        name: _find_thing(robot, config, f"objects.{name}") for name, config in task.objects.items()
    }
    return Scene(robot, grounds, things, terrain)


def _load_ground(world: World, config: GroundConfig, terrain: Terrain | None) -> tuple[int, ...]:
    if config.type == "none":
        return ()
    if terrain is not None:
        body = load_terrain(world, terrain)
    else:
        body = load_stadium(world) if config.type == "stadium" else world.load_plane()
    changes = Dynamics(lateral_friction=config.friction, restitution=config.restitution)
    world.set_dynamics(body, -1, changes)
    return (body,)


def _find_thing(robot: Robot, config: ObjectConfig, where: str) -> Thing:
    body = find_body(robot.world, config.link, robot.bodies, where)
    links = [joint.link for joint in robot.world.joints(body)]
    return Thing(body, links.index(config.link) if config.link in links else -1)
