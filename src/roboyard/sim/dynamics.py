"""Physical properties of links and joints: what can be changed, and what can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from roboyard.sim.settings import Vector


@dataclass(frozen=True)
class Dynamics:
    """Physical properties of one link and the joint that moves it; None leaves one as it is."""

    mass: float | None = None
    """Mass [kg]; the inertia changes in proportion unless it is given too."""
    inertia: Vector | None = None
    """Principal moments of inertia [kg m^2]."""
    lateral_friction: float | None = None
    """Coulomb friction of contacts."""
    spinning_friction: float | None = None
    """Torsional friction about the contact normal [m]."""
    rolling_friction: float | None = None
    """Rolling friction [m]."""
    restitution: float | None = None
    """Bounciness of contacts, in [0, 1]."""
    linear_damping: float | None = None
    """Damping of linear velocity; counts for the whole body [1/s]."""
    angular_damping: float | None = None
    """Damping of angular velocity; counts for the whole body [1/s]."""
    joint_damping: float | None = None
    """Damping of the joint [N m s/rad] or [N s/m]."""
    contact_stiffness: float | None = None
    """Stiffness of contacts [N/m]; needs ``contact_damping``."""
    contact_damping: float | None = None
    """Damping of contacts [N s/m]; needs ``contact_stiffness``."""
    max_joint_velocity: float | None = None
    """Velocity at which the joint is capped [rad/s] or [m/s]."""
    joint_lower: float | None = None
    """Lower limit of the joint [rad] or [m]; needs ``joint_upper``."""
    joint_upper: float | None = None
    """Upper limit of the joint [rad] or [m]; needs ``joint_lower``."""
    joint_max_force: float | None = None
    """Largest force that holds the joint limit [N] or [N m]."""


class LinkProperties(NamedTuple):
    """Mass and contact properties of a link."""

    mass: float
    """Mass [kg]; 0 for what cannot move."""
    lateral_friction: float
    """Coulomb friction of contacts."""
    inertia: Vector
    """Principal moments of inertia [kg m^2]."""
    restitution: float
    """Bounciness of contacts."""
