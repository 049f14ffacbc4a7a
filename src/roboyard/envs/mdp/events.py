"""Events: initial states, and pushes."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from roboyard.config.distributions import Distribution
from roboyard.envs.managers.registry import EventContext, event
from roboyard.envs.managers.sampling import draw, draw_one
from roboyard.envs.managers.selections import ALL, Joints, Object
from roboyard.errors import ConfigError, RobotDescriptionError
from roboyard.robots import Robot
from roboyard.robots.robot import BASE
from roboyard.sim import BaseState
from roboyard.sim.rotations import multiplied, quaternion

Share = Annotated[float, Field(ge=0.0, le=1.0)]


@event()
def reset_joints(
    context: EventContext,
    joints: Joints = ALL,
    center: float | None = None,
    spread: float = 0.1,
) -> dict[str, list[float]]:
    """Put joints at random positions, at rest.

    Args:
        context: What may be acted on and drawn from.
        joints: The joints; one number is drawn for each, in this order.
        center: Middle of the range [rad] or [m]; by default the robot's initial positions.
        spread: Half of the range [rad] or [m].
    """
    robot = context.robot
    which = np.arange(len(robot.joints))[joints]
    drawn: NDArray[np.float64] = context.generator.uniform(-spread, spread, len(which))
    positions = drawn + (robot.initial_positions[which] if center is None else center)
    robot.set_joints(which.tolist(), positions, np.zeros(len(which)))
    return {"positions": positions.tolist()}


@event()
def reset_object_joints(
    context: EventContext, name: Object, spread: float
) -> dict[str, list[float]]:
    """Put the joints that carry an object at random positions, at rest.

    Args:
        context: What may be acted on and drawn from.
        name: The object.
        spread: Positions are drawn from -spread to spread [rad] or [m].
    """
    body, world = context.things[name].body, context.robot.world
    joints = [joint.index for joint in world.joints(body) if joint.is_movable]
    positions = context.generator.uniform(-spread, spread, len(joints))
    world.set_joint_states(body, joints, positions, np.zeros(len(joints)))
    return {"positions": positions.tolist()}


@event()
def reset_joint_state(
    context: EventContext,
    position: Distribution = 0.0,
    velocity: Distribution = 0.0,
    joints: Joints = ALL,
) -> dict[str, list[float]]:
    """Put joints near their initial positions, within their limits, and let them move.

    Args:
        context: What may be acted on and drawn from.
        position: Added to the initial position, drawn for each joint [rad] or [m].
        velocity: Velocity, drawn for each joint [rad/s] or [m/s].
        joints: Which.
    """
    robot = context.robot
    which = np.arange(len(robot.joints))[joints]
    positions = robot.initial_positions[which] + draw(position, context.generator, len(which))
    velocities = draw(velocity, context.generator, len(which))
    limited = robot.upper[which] > robot.lower[which]
    within = np.clip(positions, robot.lower[which], np.maximum(robot.upper, robot.lower)[which])
    positions = np.where(limited, within, positions)
    robot.set_joints(which.tolist(), positions, velocities)
    return {"positions": positions.tolist(), "velocities": velocities.tolist()}


@event()
def reset_base(
    context: EventContext,
    *,
    x: Distribution = 0.0,
    y: Distribution = 0.0,
    z: Distribution = 0.0,
    yaw: Distribution = 0.0,
    tilt: Distribution = 0.0,
    velocity: Distribution = 0.0,
    turning: Distribution = 0.0,
) -> dict[str, list[float]]:
    """Move the base from where it is, and let it move; for robots with a floating base.

    Args:
        context: What may be acted on and drawn from.
        x: Added to its position along x [m].
        y: Added to its position along y [m].
        z: Added to its height [m].
        yaw: Turn about the vertical [rad].
        tilt: Roll and pitch, drawn for each, before the turn [rad].
        velocity: Velocity, drawn for each axis of the world [m/s].
        turning: Angular velocity, drawn for each axis of the world [rad/s].
    """
    robot, generator = context.robot, context.generator
    _check_floating(robot)
    base = robot.world.base(robot.body)
    moved = [draw_one(axis, generator) for axis in (x, y, z)]
    roll, pitch = draw(tilt, generator, 2).tolist()
    turned = draw_one(yaw, generator)
    px, py, pz = (here + by for here, by in zip(base.position, moved, strict=True))
    vx, vy, vz = draw(velocity, generator, 3).tolist()
    wx, wy, wz = draw(turning, generator, 3).tolist()
    orientation = multiplied(quaternion((roll, pitch, turned)), base.orientation)
    state = BaseState((px, py, pz), orientation, (vx, vy, vz), (wx, wy, wz))
    robot.world.set_base(robot.body, state)
    return {
        "moved": moved,
        "rotation": [roll, pitch, turned],
        "velocity": [vx, vy, vz],
        "turning": [wx, wy, wz],
    }


@event()
def spawn_on_terrain(
    context: EventContext, level: Share = 1.0, spread: bool = True
) -> dict[str, int]:
    """Move the robot from the first tile of the terrain to a random one, at the same clearance.

    Args:
        context: What may be acted on and drawn from.
        level: How difficult the tile may be, 0 for the easiest row, 1 for the hardest; a
            curriculum can raise it.
        spread: Draw the row from the easiest up to that one, instead of taking it.

    Raises:
        ConfigError: The task has no terrain.
    """
    terrain, robot = context.terrain, context.robot
    if terrain is None:
        raise ConfigError(
            "the event 'spawn_on_terrain' needs a terrain: set 'ground.type: terrain' in the task."
        )
    hardest = round(level * (terrain.config.levels - 1))
    row = int(context.generator.integers(hardest + 1)) if spread else hardest
    column = int(context.generator.integers(len(terrain.config.kinds)))
    base = robot.world.base(robot.body)
    x, y, z = base.position
    tx, ty, _ = terrain.tile(row, column)
    rise = terrain.height_at(x + tx, y + ty) - terrain.height_at(x, y)
    robot.world.set_base(robot.body, base._replace(position=(x + tx, y + ty, z + rise)))
    return {"level": row, "column": column}


@event()
def push(
    context: EventContext,
    *,
    x: Distribution = 0.0,
    y: Distribution = 0.0,
    z: Distribution = 0.0,
    turning: Distribution = 0.0,
) -> dict[str, list[float]]:
    """Change the velocity of the base at once, as a hit does; use it at intervals.

    Source: ``push_robots`` of legged_gym, but added to the velocity instead of replacing it.

    Args:
        context: What may be acted on and drawn from.
        x: Added velocity along the world's x [m/s].
        y: Added velocity along the world's y [m/s].
        z: Added velocity along the world's z [m/s].
        turning: Added angular velocity about the world's z [rad/s].
    """
    robot = context.robot
    _check_floating(robot)
    base = robot.world.base(robot.body)
    dx, dy, dz, dw = (draw_one(axis, context.generator) for axis in (x, y, z, turning))
    vx, vy, vz = base.linear_velocity
    wx, wy, wz = base.angular_velocity
    moving = base._replace(
        linear_velocity=(vx + dx, vy + dy, vz + dz), angular_velocity=(wx, wy, wz + dw)
    )
    robot.world.set_base(robot.body, moving)
    return {"velocity": [dx, dy, dz], "turning": [dw]}


def _check_floating(robot: Robot) -> None:
    """Refuse robots whose base cannot move.

    Raises:
        RobotDescriptionError: It is one.
    """
    if robot.spec.fixed_base or not robot.world.link_properties(robot.body, BASE).mass:
        raise RobotDescriptionError(
            f"robot '{robot.name}' has a fixed base, which cannot be moved or pushed; this event "
            "is for floating ones."
        )
