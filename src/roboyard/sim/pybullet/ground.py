"""Grounds to stand on."""

from __future__ import annotations

from roboyard.errors import RobotDescriptionError
from roboyard.sim.assets import data_path
from roboyard.sim.pybullet.engine import EngineError, captured_output, pybullet
from roboyard.sim.terrain import Terrain


def load_stadium(client: int) -> int:
    """Load the endless ground of PyBullet's locomotion environments; return the body's id.

    Raises:
        RobotDescriptionError: The installed PyBullet lacks its data.
    """
    file = data_path() / "plane_stadium.sdf"
    with captured_output() as output:
        try:
            (body,) = pybullet.loadSDF(str(file), physicsClientId=client)
        except (EngineError, ValueError) as error:
            raise RobotDescriptionError(
                f"ground '{file}' cannot be loaded: {output.cause() or error}"
            ) from error
    return int(body)


def load_terrain(client: int, terrain: Terrain) -> int:
    """Load a terrain and return the body's id."""
    heights, step = terrain.heights, terrain.config.resolution
    rows, columns = heights.shape
    shape = pybullet.createCollisionShape(
        pybullet.GEOM_HEIGHTFIELD,
        meshScale=(step, step, 1.0),
        heightfieldData=heights.ravel(order="F").tolist(),
        numHeightfieldRows=rows,
        numHeightfieldColumns=columns,
        physicsClientId=client,
    )
    # The engine puts the middle of the field's box at the body's position.
    middle = (
        terrain.corner[0] + (rows - 1) * step / 2,
        terrain.corner[1] + (columns - 1) * step / 2,
        float(heights.min() + heights.max()) / 2,
    )
    body = pybullet.createMultiBody(0.0, shape, -1, middle, physicsClientId=client)
    pybullet.changeVisualShape(body, -1, rgbaColor=(0.6, 0.62, 0.6, 1), physicsClientId=client)
    return int(body)
