"""The physics engines: names to classes of worlds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roboyard.registry import Registry
from roboyard.sim.settings import WorldConfig

if TYPE_CHECKING:
    from roboyard.sim.world import World

ENGINES: Registry[type[World]] = Registry(
    "engine",
    {
        "mujoco": "roboyard.sim.mujoco:MuJoCoWorld",
        "pybullet": "roboyard.sim.pybullet:PyBulletWorld",
    },
)
"""Engines by the name that ``world.engine`` gives; any ``module:Attr`` works too."""


def open_world(config: WorldConfig | None = None) -> World:
    """Open a world of the engine that ``config`` names.

    Raises:
        ConfigError: There is no such engine.
        SimulationError: The engine cannot open another world, or there is no display for a window.
    """
    config = config or WorldConfig()
    return ENGINES.resolve(config.engine)(config)
