"""Changes of masses, friction, damping and limits."""

from __future__ import annotations

import logging

import numpy as np

from roboyard.errors import SimulationError
from roboyard.sim.dynamics import Dynamics
from roboyard.sim.mujoco.simulation import Simulation

_LOG = logging.getLogger(__name__)
_TOLD: set[str] = set()
_MISSING = ("linear_damping", "angular_damping")
_REFUSED = ("contact_stiffness", "contact_damping", "max_joint_velocity", "joint_max_force")
_SPINNING, _ROLLING = 4, 6
"""Dimensions of a contact with these kinds of friction."""


def change(sim: Simulation, body: int, link: int, dynamics: Dynamics) -> None:
    """Change properties of a link and its joint.

    Raises:
        SimulationError: MuJoCo has no such property.
    """
    _refuse(dynamics)
    rows, model = sim.rows[body], sim.model
    number = rows.engine_body(link)
    if dynamics.mass is not None or dynamics.inertia is not None:
        _change_mass(sim, number, dynamics)
    _change_friction(sim, number, dynamics)
    joint = int(rows.engine_joints[link]) if link >= 0 else -1
    if joint < 0:
        return
    if dynamics.joint_damping is not None:
        model.dof_damping[rows.dofs[link]] = dynamics.joint_damping
    if dynamics.joint_lower is not None and dynamics.joint_upper is not None:
        lower, upper = dynamics.joint_lower, dynamics.joint_upper
        model.jnt_limited[joint] = lower <= upper
        model.jnt_range[joint] = (lower, upper)


def _refuse(dynamics: Dynamics) -> None:
    for name in _REFUSED:
        if getattr(dynamics, name) is not None:
            raise SimulationError(f"{name} cannot be set: MuJoCo has nothing like it; leave it "
                                  "out, or use the engine pybullet.")  # fmt: skip
    for name in _MISSING:
        if getattr(dynamics, name):
            raise SimulationError(f"{name} cannot be {getattr(dynamics, name):g}: MuJoCo has no"
                                  " such drag; set it to 0, or use pybullet.")  # fmt: skip
    if dynamics.restitution and "restitution" not in _TOLD:
        _TOLD.add("restitution")
        _LOG.warning("restitution is not simulated by MuJoCo: contacts there do not bounce.")


def _change_mass(sim: Simulation, number: int, dynamics: Dynamics) -> None:
    model = sim.model
    if dynamics.mass is not None:
        old = float(model.body_mass[number])
        model.body_mass[number] = dynamics.mass
        if dynamics.inertia is None and old > 0:
            model.body_inertia[number] *= dynamics.mass / old
    if dynamics.inertia is not None:
        model.body_inertia[number] = dynamics.inertia
    sim.derive()


def _change_friction(sim: Simulation, number: int, dynamics: Dynamics) -> None:
    model = sim.model
    geoms = np.flatnonzero((model.geom_bodyid == number) & (model.geom_contype > 0))
    values = (dynamics.lateral_friction, dynamics.spinning_friction, dynamics.rolling_friction)
    for column, value in enumerate(values):
        if value is not None:
            model.geom_friction[geoms, column] = value
    if dynamics.spinning_friction:
        model.geom_condim[geoms] = np.maximum(model.geom_condim[geoms], _SPINNING)
    if dynamics.rolling_friction:
        model.geom_condim[geoms] = _ROLLING
