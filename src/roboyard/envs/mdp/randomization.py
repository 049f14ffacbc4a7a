"""Events that vary the robot's and the ground's physics, for policies that outlive a simulator.

All changes are undone at the next reset, before its events happen. Factors and additions apply to
what is there, so two events on one thing compose. The engine cannot move a link's centre of mass,
so ``randomize_center_of_mass`` moves the whole robot's. The choice of quantities follows Tobin et
al. 2017, Peng et al. 2018, legged_gym (Rudin et al. 2022) and mjlab.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboyard.config.distributions import Distribution, Drawn
from roboyard.envs.managers.registry import EventContext, event
from roboyard.envs.managers.sampling import draw, draw_one
from roboyard.envs.managers.selections import ALL, BASE_LINK, EVERY_LINK, Joints, Link, Links
from roboyard.envs.mdp.geometry import seen_from
from roboyard.errors import RobotDescriptionError, SimulationError
from roboyard.robots import Robot
from roboyard.robots.actuators import Actuator
from roboyard.robots.robot import BASE
from roboyard.sim import Dynamics
from roboyard.sim.rows import CENTER

Floats = NDArray[np.float64]
Drawings = dict[str, Any]
_FLAT = 1e-6
"""Share of the largest extent below which links count as lying in a plane."""

How = Literal["scale", "add", "set"]
"""Whether a drawn value multiplies what is there, is added to it, or replaces it."""


@event()
def randomize_mass(
    context: EventContext,
    value: Distribution,
    links: Links = EVERY_LINK,
    how: How = "scale",
    shared: bool = False,
) -> Drawings:
    """Change masses of links [kg]; their inertias change in proportion.

    Args:
        context: What may be acted on and drawn from.
        value: Factor, or mass [kg].
        links: Which; links without mass stay as they are.
        how: What the value does.
        shared: Draw one value for all instead of one for each.
    """
    robot = context.robot
    masses = []
    values = _values(context, value, len(links), shared)
    for link, number in zip(links, values, strict=True):
        present = robot.world.link_properties(robot.body, link)
        if not present.mass:
            masses.append(0.0)
            continue
        mass = _changed(present.mass, number, how)
        _check_positive(mass, f"the mass of link '{robot.link_name(link)}'", "kg")
        factor = mass / present.mass
        x, y, z = present.inertia
        inertia = (x * factor, y * factor, z * factor)
        robot.world.set_dynamics(robot.body, link, Dynamics(mass=mass, inertia=inertia))
        masses.append(mass)
    return {"masses": masses}


@event()
def randomize_center_of_mass(
    context: EventContext,
    *,
    x: Distribution = 0.0,
    y: Distribution = 0.0,
    z: Distribution = 0.0,
    links: Links = EVERY_LINK,
) -> Drawings:
    """Shift the robot's centre of mass by moving mass between its links; the total stays.

    Masses become m * (1 + k . r), r being where a link is from the centre of mass of all: of all
    changes with this shift it is the smallest, relative to the masses. Inertias change in
    proportion. Use it after what moves the joints, before or after other changes of masses.

    Args:
        context: What may be acted on and drawn from.
        x: Shift forwards, along the base's x as the robot stands [m].
        y: Shift to the left [m].
        z: Shift upwards [m].
        links: Between which; those without mass stay as they are.

    Raises:
        RobotDescriptionError: The links lie so that no such shift is possible.
        SimulationError: A mass would not be positive.
    """
    robot = context.robot
    shift = np.array([draw_one(axis, context.generator) for axis in (x, y, z)])
    moved = [link for link in links if robot.world.link_properties(robot.body, link).mass]
    present = [robot.world.link_properties(robot.body, link) for link in moved]
    masses = np.array([row.mass for row in present])
    places = _from_base(robot, moved)
    total = robot_mass(robot)
    spread = places - np.average(places, axis=0, weights=masses)
    moments = (spread * masses[:, None]).T @ spread
    slope, *_ = np.linalg.lstsq(moments, shift * total, rcond=_FLAT)
    if not np.allclose(moments @ slope, shift * total, atol=1e-9 * total):
        raise RobotDescriptionError(
            f"the centre of mass of robot '{robot.name}' cannot be shifted by {shift.tolist()} m: "
            "the links do not extend along all of these axes; name others."
        )
    factors = 1.0 + spread @ slope
    for link, row, factor in zip(moved, present, factors.tolist(), strict=True):
        _check_positive(row.mass * factor, f"the mass of link '{robot.link_name(link)}'", "kg")
        ix, iy, iz = row.inertia
        inertia = (ix * factor, iy * factor, iz * factor)
        changed = Dynamics(mass=row.mass * factor, inertia=inertia)
        robot.world.set_dynamics(robot.body, link, changed)
    return {"shift": shift.tolist()}


@event()
def payload(context: EventContext, mass: Distribution, link: Link = BASE_LINK) -> Drawings:
    """Add a mass [kg] at the centre of mass of a link; its inertia stays as it is."""
    robot = context.robot
    drawn = draw_one(mass, context.generator)
    present = robot.world.link_properties(robot.body, link)
    if not present.mass:
        raise RobotDescriptionError(
            f"link '{robot.link_name(link)}' of robot '{robot.name}' has no mass of its own, or is "
            "fixed, so it cannot carry a payload; name another link."
        )
    total = present.mass + drawn
    _check_positive(total, f"the mass of link '{robot.link_name(link)}' with its payload", "kg")
    changed = Dynamics(mass=total, inertia=present.inertia)
    robot.world.set_dynamics(robot.body, link, changed)
    return {"mass": drawn}


@event()
def randomize_friction(
    context: EventContext, value: Distribution, links: Links = EVERY_LINK, shared: bool = True
) -> Drawings:
    """Set the friction coefficients of links; the engine multiplies them with the ground's."""
    values = np.maximum(_values(context, value, len(links), shared), 0.0).tolist()
    for link, number in zip(links, values, strict=True):
        _set(context, link, Dynamics(lateral_friction=number))
    return {"frictions": values[:1] if shared else values}


@event()
def randomize_restitution(
    context: EventContext, value: Distribution, links: Links = EVERY_LINK, shared: bool = True
) -> Drawings:
    """Set the bounciness of links, limited to [0, 1]; the ground's multiplies it."""
    values = np.clip(_values(context, value, len(links), shared), 0.0, 1.0).tolist()
    for link, number in zip(links, values, strict=True):
        _set(context, link, Dynamics(restitution=number))
    return {"restitutions": values[:1] if shared else values}


@event()
def randomize_ground(
    context: EventContext,
    friction: Distribution | None = None,
    restitution: Distribution | None = None,
) -> Drawings:
    """Set the ground's friction coefficient and its bounciness, limited to [0, 1]."""
    drawn: Drawings = {}
    if friction is not None:
        drawn["friction"] = max(draw_one(friction, context.generator), 0.0)
    if restitution is not None:
        drawn["restitution"] = min(max(draw_one(restitution, context.generator), 0.0), 1.0)
    changed = Dynamics(lateral_friction=drawn.get("friction"), restitution=drawn.get("restitution"))
    for ground in context.grounds:
        context.robot.world.set_dynamics(ground, BASE, changed)
    return drawn


@event()
def randomize_joint_damping(
    context: EventContext, value: Distribution, joints: Joints = ALL
) -> Drawings:
    """Set the damping of joints, one value for each [N m s/rad] or [N s/m]."""
    robot = context.robot
    which = np.arange(len(robot.joints))[joints].tolist()
    values = np.maximum(_values(context, value, len(which), False), 0.0).tolist()
    for joint, number in zip(which, values, strict=True):
        _set(context, robot.joint_indices[joint], Dynamics(joint_damping=number))
    return {"dampings": values}


@event()
def randomize_gains(
    context: EventContext,
    stiffness: Distribution = 1.0,
    damping: Distribution = 1.0,
    shared: bool = False,
) -> Drawings:
    """Multiply the actuators' position and velocity gains by factors, one for each joint.

    Raises:
        RobotDescriptionError: No actuator has gains.
    """
    if not any(hasattr(actuator, "stiffness") for actuator in context.robot.actuators):
        raise RobotDescriptionError(
            f"no actuator of robot '{context.robot.name}' has gains; they are of control 'pd' and "
            "'position'. Randomise the motor strength instead."
        )
    drawn: dict[str, list[float]] = {"stiffness": [], "damping": []}
    for actuator in context.robot.actuators:
        for name, factor in (("stiffness", stiffness), ("damping", damping)):
            gains = getattr(actuator, name, None)
            if gains is None:
                continue
            factors = _values(context, factor, len(gains), shared)
            gains *= factors
            drawn[name] += factors.tolist()
    return drawn


@event()
def randomize_motor_strength(
    context: EventContext, factor: Distribution, shared: bool = False
) -> Drawings:
    """Multiply what motors give for the same command, and their limit, one factor a joint.

    Motors of the engine itself (``position``, ``velocity``) change their limit only.
    """
    drawn: list[float] = []
    for actuator in context.robot.actuators:
        factors = _values(context, factor, len(actuator.names), shared)
        actuator.strengthen(factors)
        drawn += factors.tolist()
    return {"factors": drawn}


@event()
def joint_offsets(context: EventContext, offset: Distribution) -> Drawings:
    """Let the encoders of actuated joints show a wrong zero [rad] or [m].

    An encoder that shows ``d`` where the joint is at 0 makes position control hold the joint at
    ``target - d``; observations of relative joint positions show ``d`` more than there is. What a
    ``cartesian`` actuator aims at does not change.
    """
    drawn: list[float] = []
    state = context.state
    driven = [actuator for actuator in context.robot.actuators if actuator.names]
    for actuator in driven:
        offsets = draw(offset, context.generator, len(actuator.names))
        _shift(actuator, -offsets)
        if state is not None:
            state.encoder_offsets[actuator.indices] = offsets
        drawn += offsets.tolist()
    return {"offsets": drawn}


@event()
def randomize_gravity(
    context: EventContext,
    x: Distribution = 0.0,
    y: Distribution = 0.0,
    z: Distribution = 0.0,
) -> Drawings:
    """Add to the world's gravity [m/s^2]."""
    world = context.robot.world
    added = [draw_one(axis, context.generator) for axis in (x, y, z)]
    gx, gy, gz = (g + a for g, a in zip(world.config.gravity, added, strict=True))
    world.set_gravity((gx, gy, gz))
    return {"gravity": [gx, gy, gz]}


def robot_mass(robot: Robot) -> float:
    """Return the mass of a robot's base and links [kg]."""
    links = range(BASE, len(robot.link_names))
    return sum(robot.world.link_properties(robot.body, link).mass for link in links)


def _from_base(robot: Robot, links: Sequence[int]) -> Floats:
    """Return links' centres of mass as seen from the base [m], shape (links, 3)."""
    base = robot.world.base(robot.body)
    rows = robot.world.link_reader(robot.body, range(len(robot.link_names)))()
    places = [base.position if link == BASE else rows[link][CENTER] for link in links]
    bx, by, bz = base.position
    return np.array([seen_from((x - bx, y - by, z - bz), base.orientation) for x, y, z in places])


def _values(context: EventContext, distribution: float | Drawn, size: int, shared: bool) -> Floats:
    if shared:
        return np.full(size, draw_one(distribution, context.generator))
    return draw(distribution, context.generator, size)


def _changed(present: float, value: float, how: How) -> float:
    if how == "set":
        return float(value)
    return float(present * value if how == "scale" else present + value)


def _check_positive(value: float, what: str, unit: str) -> None:
    if not value > 0:
        raise SimulationError(
            f"{what} would be {value:g} {unit}, and must be more than 0. Narrow the distribution."
        )


def _set(context: EventContext, link: int, dynamics: Dynamics) -> None:
    context.robot.world.set_dynamics(context.robot.body, link, dynamics)


def _shift(actuator: Actuator, by: Floats) -> None:
    if actuator.config.control in ("position", "pd"):
        actuator.offset += by
