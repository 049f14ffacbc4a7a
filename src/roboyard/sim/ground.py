"""Grounds to stand on, and flags for loading what stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roboyard.errors import RobotDescriptionError
from roboyard.sim.engine import EngineError, captured_output, data_path, pybullet

if TYPE_CHECKING:
    from roboyard.sim.world import World

SELF_COLLISION = {
    "none": 0,
    "all": pybullet.URDF_USE_SELF_COLLISION,
    "exclude_parent": (
        pybullet.URDF_USE_SELF_COLLISION | pybullet.URDF_USE_SELF_COLLISION_EXCLUDE_PARENT
    ),
    "exclude_all_parents": (
        pybullet.URDF_USE_SELF_COLLISION | pybullet.URDF_USE_SELF_COLLISION_EXCLUDE_ALL_PARENTS
    ),
}
"""Loading flags for how the links of a body touch each other."""

INERTIA_FROM_FILE: int = pybullet.URDF_USE_INERTIA_FROM_FILE
"""Loading flag: take inertias from a URDF file instead of computing them from the shapes."""


def load_stadium(world: World) -> int:
    """Load the endless ground of PyBullet's locomotion environments; return the body's id.

    Raises:
        RobotDescriptionError: The installed PyBullet lacks its data.
    """
    file = data_path() / "plane_stadium.sdf"
    with captured_output() as output:
        try:
            (body,) = pybullet.loadSDF(str(file), physicsClientId=world.client)
        except (EngineError, ValueError) as error:
            raise RobotDescriptionError(
                f"ground '{file}' cannot be loaded: {output.cause() or error}"
            ) from error
    world._adopt(body)
    return int(body)
