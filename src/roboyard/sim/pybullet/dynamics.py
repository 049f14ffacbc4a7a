"""Changes of masses, friction and damping, and the memory of them that a snapshot needs."""

from __future__ import annotations

from roboyard.sim.dynamics import Dynamics
from roboyard.sim.pybullet.engine import pybullet
from roboyard.sim.settings import Vector

# Field of Dynamics -> name in the engine's changeDynamics.
_ENGINE_NAMES = {
    "mass": "mass",
    "inertia": "localInertiaDiagonal",
    "lateral_friction": "lateralFriction",
    "spinning_friction": "spinningFriction",
    "rolling_friction": "rollingFriction",
    "restitution": "restitution",
    "linear_damping": "linearDamping",
    "angular_damping": "angularDamping",
    "joint_damping": "jointDamping",
    "contact_stiffness": "contactStiffness",
    "contact_damping": "contactDamping",
    "max_joint_velocity": "maxJointVelocity",
    "joint_lower": "jointLowerLimit",
    "joint_upper": "jointUpperLimit",
    "joint_max_force": "jointLimitForce",
}
# What the engine sets and does not tell.
_DEFAULT_BODY_DAMPING = 0.04
_DEFAULT_MAX_JOINT_VELOCITY = 100.0


Values = dict[str, "float | Vector"]
Changes = dict[tuple[int, int], Values]
"""(body, link) to the engine's names and values."""


class DynamicsLog:
    """Which properties were changed, to what, and from what."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self.changes: Changes = {}
        self._originals: Changes = {}

    def change(self, client: int, body: int, link: int, dynamics: Dynamics) -> None:
        """Change properties of ``link`` and remember them."""
        values: Values = {
            engine_name: getattr(dynamics, name)
            for name, engine_name in _ENGINE_NAMES.items()
            if getattr(dynamics, name) is not None
        }
        if not values:
            return
        key = (body, link)
        if key not in self._originals:
            self._originals[key] = original_values(client, body, link)
        if dynamics.mass is not None and dynamics.inertia is None:
            values["localInertiaDiagonal"] = _inertia(self._originals[key], dynamics.mass)
        pybullet.changeDynamics(body, link, physicsClientId=client, **values)
        # A new table instead of an edit: saved states hold the old one.
        self.changes = {**self.changes, key: {**self.changes.get(key, {}), **values}}

    def restore(self, client: int, saved: Changes) -> None:
        """Bring all properties to what they were when ``changes`` was ``saved``."""
        present = self.changes
        if present is saved:
            return
        for key in present.keys() | saved.keys():
            target = saved.get(key, {})
            current = present.get(key, {})
            if target == current:
                continue
            if key not in self._originals:
                self._originals[key] = original_values(client, *key)
            undone = {
                name: value
                for name, value in self._originals[key].items()
                if name in current and name not in target
            }
            pybullet.changeDynamics(*key, physicsClientId=client, **{**undone, **target})
        self.changes = saved


def _inertia(originals: Values, mass: float) -> Vector:
    """Return the link's inertia at another mass.

    The engine would otherwise put in that of the collision shape, and lose the description's.
    """
    original = originals["mass"]
    x, y, z = originals["localInertiaDiagonal"]  # type: ignore[misc]
    factor = mass / original if original else 1.0  # type: ignore[operator]
    return (x * factor, y * factor, z * factor)


def original_values(client: int, body: int, link: int) -> Values:
    """Return all properties of ``link`` as they are before the first change."""
    info = pybullet.getDynamicsInfo(body, link, physicsClientId=client)
    values: Values = {
        "mass": info[0],
        "lateralFriction": info[1],
        "localInertiaDiagonal": info[2],
        "restitution": info[5],
        "rollingFriction": info[6],
        "spinningFriction": info[7],
        "contactDamping": info[8],
        "contactStiffness": info[9],
        "linearDamping": _DEFAULT_BODY_DAMPING,
        "angularDamping": _DEFAULT_BODY_DAMPING,
    }
    if link >= 0:
        joint = pybullet.getJointInfo(body, link, physicsClientId=client)
        values |= {
            "jointDamping": joint[6],
            "jointLowerLimit": joint[8],
            "jointUpperLimit": joint[9],
            "jointLimitForce": joint[10],
            "maxJointVelocity": _DEFAULT_MAX_JOINT_VELOCITY,
        }
    return values
