"""Registration with Gymnasium, so that any of its users can ``gymnasium.make`` our environments."""

from __future__ import annotations

import gymnasium

NAMESPACE = "roboyard/"
"""What our ids begin with."""

SIMPLE_ROBOT = "roboyard/SimpleRobot-v0"
"""Id of the cart-pole."""

ENTRY_POINTS = {SIMPLE_ROBOT: "roboyard.envs.simple:SimpleRobotEnv"}
"""Gymnasium ids to classes; episode limits are the classes' own, so that snapshots hold them."""


def register_envs() -> None:
    """Register every environment; doing it twice does no harm."""
    for env_id, entry_point in ENTRY_POINTS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(id=env_id, entry_point=entry_point)
