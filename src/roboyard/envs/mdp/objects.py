"""Terms about objects: how they lie and move, what touches them, where they begin.

Lengths in metres, world frame. Which objects there are is said in the task's ``objects``.
"""

from __future__ import annotations

import math
from typing import Any

from pydantic import PositiveFloat

from roboyard.config.distributions import Distribution
from roboyard.envs.managers.registry import EventContext, event, observation, reward, termination
from roboyard.envs.managers.sampling import draw_one
from roboyard.envs.managers.selections import EVERY_LINK, Command, Link, Links, Object
from roboyard.envs.mdp.geometry import link_position, link_velocity
from roboyard.errors import RobotDescriptionError
from roboyard.robots import RobotState
from roboyard.robots.reading import (
    BASE_POSE,
    LINK_MOTION,
    LINKS,
    OBJECT_CONTACTS,
    OBJECT_MOTION,
    OBJECTS,
)
from roboyard.sim import BaseState, Dynamics
from roboyard.sim.rotations import euler_angles, multiplied, quaternion
from roboyard.sim.settings import Quaternion, Vector

_STILL: Vector = (0.0, 0.0, 0.0)


@observation(OBJECT_MOTION, labels=("x", "y", "z", "w"))
def object_orientation(state: RobotState, name: Object) -> Quaternion:
    """Return an object's orientation (x, y, z, w), with w >= 0, so that each has one form."""
    x, y, z, w = state.object_orientations[name]
    return (-x, -y, -z, -w) if w < 0 else (x, y, z, w)


@observation(OBJECT_MOTION, unit="rad", labels=("roll", "pitch", "yaw"))
def object_euler(state: RobotState, name: Object) -> Vector:
    """Return an object's roll, pitch and yaw [rad]."""
    return euler_angles(state.object_orientations[name])


@observation(OBJECT_MOTION, unit="m/s", labels=("x", "y", "z"))
def object_velocity(state: RobotState, name: Object) -> Vector:
    """Return the velocity of an object's centre of mass [m/s]."""
    return state.object_velocities[name]


@observation(OBJECT_MOTION, unit="rad/s", labels=("x", "y", "z"))
def object_angular_velocity(state: RobotState, name: Object) -> Vector:
    """Return an object's angular velocity [rad/s]."""
    return state.object_turnings[name]


@observation(OBJECT_CONTACTS, unit="N")
def object_contacts(state: RobotState, name: Object, links: Links = EVERY_LINK) -> list[float]:
    """Return the normal force of each link on an object [N], shape (links,)."""
    forces = state.object_contacts[name]
    return [forces.get(link, 0.0) for link in links]


@observation(LINKS, BASE_POSE, unit="m", labels=("x", "y", "z"))
def link_place(state: RobotState, link: Link) -> Vector:
    """Return a link's centre of mass [m]."""
    return link_position(state, link)


@observation(LINK_MOTION, BASE_POSE, unit="m/s", labels=("x", "y", "z"))
def link_motion(state: RobotState, link: Link) -> Vector:
    """Return the velocity of a link's centre of mass [m/s]."""
    return link_velocity(state, link)


@reward(OBJECTS, unit="m")
def object_point_distance(state: RobotState, name: Object, command: Command) -> float:
    """Return the distance from an object to a commanded point [m]."""
    return math.dist(state.objects[name], state.commands[command])


@reward(OBJECT_CONTACTS)
def object_held(
    state: RobotState, name: Object, links: Links, threshold: PositiveFloat = 0.1
) -> float:
    """Return 1 while every one of ``links`` presses an object by ``threshold`` [N], else 0."""
    forces = state.object_contacts[name]
    return float(all(forces.get(link, 0.0) > threshold for link in links))


@termination(OBJECTS)
def object_out_of_bounds(
    state: RobotState,
    name: Object,
    low: tuple[float | None, float | None, float | None] = (None, None, None),
    high: tuple[float | None, float | None, float | None] = (None, None, None),
) -> bool:
    """Return whether an object left a box [m], as off a table; null is no bound."""
    rows = zip(state.objects[name], low, high, strict=True)
    return any(
        (least is not None and value < least) or (most is not None and value > most)
        for value, least, most in rows
    )


@event()
def reset_object(
    context: EventContext,
    name: Object,
    *,
    x: Distribution = 0.0,
    y: Distribution = 0.0,
    z: Distribution = 0.0,
    yaw: Distribution = 0.0,
) -> dict[str, Any]:
    """Move an object from where it was loaded, and let it rest there.

    Args:
        context: What may be acted on and drawn from.
        name: The object.
        x: Added to its position along x [m].
        y: Added to its position along y [m].
        z: Added to its height [m].
        yaw: Turn about the vertical [rad].
    """
    body, world = context.things[name].body, context.robot.world
    base = world.base(body)
    moved = [draw_one(axis, context.generator) for axis in (x, y, z)]
    turned = draw_one(yaw, context.generator)
    px, py, pz = (here + by for here, by in zip(base.position, moved, strict=True))
    orientation = multiplied(quaternion((0.0, 0.0, turned)), base.orientation)
    world.set_base(body, BaseState((px, py, pz), orientation, _STILL, _STILL))
    return {"position": [px, py, pz], "yaw": turned}


@event()
def randomize_object(
    context: EventContext,
    name: Object,
    *,
    mass: Distribution = 1.0,
    friction: Distribution | None = None,
    restitution: Distribution | None = None,
) -> dict[str, float]:
    """Vary an object's physics.

    Args:
        context: What may be acted on and drawn from.
        name: The object.
        mass: Factor on its mass and inertia.
        friction: Friction coefficient.
        restitution: Bounciness, limited to [0, 1].

    Raises:
        RobotDescriptionError: It has no mass to vary.
    """
    thing, world, generator = context.things[name], context.robot.world, context.generator
    present = world.link_properties(thing.body, thing.link)
    factor = draw_one(mass, generator)
    if not present.mass * factor > 0 and mass != 1.0:
        raise RobotDescriptionError(
            f"object '{name}' has {present.mass:g} kg, which cannot become "
            f"{present.mass * factor:g} kg; give it a mass, and factors above 0."
        )
    drawn = {"mass": present.mass * factor}
    if friction is not None:
        drawn["friction"] = max(draw_one(friction, generator), 0.0)
    if restitution is not None:
        drawn["restitution"] = min(max(draw_one(restitution, generator), 0.0), 1.0)
    changed = Dynamics(
        mass=drawn["mass"] if present.mass else None,
        lateral_friction=drawn.get("friction"),
        restitution=drawn.get("restitution"),
    )
    world.set_dynamics(thing.body, thing.link, changed)
    return drawn
