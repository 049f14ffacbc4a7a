"""Robots' files as models, for engines that build bodies from models only.

Readers stand above this package, so that they are named here rather than imported.
"""

from __future__ import annotations

from collections.abc import Callable

from roboyard.registry import Registry
from roboyard.sim.descriptions import RobotDescription
from roboyard.sim.model import RobotModel

READERS: Registry[Callable[[RobotDescription], tuple[RobotModel, ...]]] = Registry(
    "reader", {"default": "roboyard.robots.loading:models_of"}
)
"""Readers of descriptions without a model."""


def models_of(description: RobotDescription) -> tuple[RobotModel, ...]:
    """Return the robots that a description asks for, normalised.

    Raises:
        RobotDescriptionError: The file is missing or wrong; the message says how.
    """
    if description.model is not None:
        return (description.model,)
    return READERS.resolve("default")(description)
