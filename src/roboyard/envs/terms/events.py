"""Events: initial states."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roboyard.envs.terms.registry import EventContext, event
from roboyard.envs.terms.selections import ALL, Joints, Object


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
