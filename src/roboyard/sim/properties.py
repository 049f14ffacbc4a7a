"""Reading physical properties of links as they are at present."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from roboyard.sim.engine import pybullet
from roboyard.sim.settings import Vector

if TYPE_CHECKING:
    from roboyard.sim.world import World


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


def link_properties(world: World, body: int, link: int) -> LinkProperties:
    """Return the present properties of a link; -1 is the base.

    Raises:
        SimulationError: The world is closed.
    """
    with world._engine(f"properties of body {body}, link {link} cannot be read") as client:
        info = pybullet.getDynamicsInfo(body, link, physicsClientId=client)
    return LinkProperties(info[0], info[1], info[2], info[5])
