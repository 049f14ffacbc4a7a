"""Loading robot models: the engine is given the canonical URDF, and told what URDF cannot tell.

A mimic joint is a gear: the engine keeps ``leader - follower / m = - offset / m``, for which its
gear ratio is ``-1 / m`` and its target ``-offset / m`` (found by trial; its own examples show only
gears of 1 and -1). A multiplier of 0 is a joint held in place.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from roboyard.errors import RobotDescriptionError
from roboyard.sim.descriptions import Placement, RobotDescription
from roboyard.sim.model import Pose, RobotModel
from roboyard.sim.pybullet.engine import EngineError, captured_output, pybullet
from roboyard.sim.pybullet.frames import BaseFrame
from roboyard.sim.pybullet.loading import SELF_COLLISION
from roboyard.sim.writers.meshes import MeshStore
from roboyard.sim.writers.urdf import write_urdf

MAX_LINKS = 128
"""Of a body, the base included; the engine tells no states of bodies with more."""
_GEAR_FORCE = 1e4
_GEAR_ERP = 0.8


class LoadedModel(NamedTuple):
    """A body that was made from a model."""

    body: int
    frame: BaseFrame
    """For the base's pose and velocity."""


@contextmanager
def canonical_file(model: RobotModel) -> Iterator[tuple[Path, Pose]]:
    """Give a temporary URDF file of a model, and the base's inertial frame in its link frame.

    Raises:
        RobotDescriptionError: The engine cannot have this robot.
    """
    if len(model.links) > MAX_LINKS:
        raise RobotDescriptionError(
            f"robot '{model.name}' has {len(model.links)} links, but PyBullet takes at most "
            f"{MAX_LINKS}: merge fixed ones."
        )
    with tempfile.TemporaryDirectory(prefix="roboyard-robot-") as folder:
        written = write_urdf(model, MeshStore())
        file = Path(folder) / "robot.urdf"
        file.write_text(written.text, encoding="utf-8")
        yield file, written.base


def load_model(
    client: int, file: Path, base: Pose, description: RobotDescription, where: Placement
) -> LoadedModel:
    """Load the canonical file of ``description.model``.

    Raises:
        RobotDescriptionError: The engine refuses it.
    """
    model = description.model
    assert model is not None
    frame = BaseFrame(dataclasses.replace(base, position=base.position * description.scale))
    is_fixed = description.fixed_base if model.is_fixed is None else model.is_fixed
    # The engine remembers files by name, and temporary names come again.
    pybullet.setPhysicsEngineParameter(enableFileCaching=0, physicsClientId=client)
    try:
        with captured_output() as output:
            body: int = pybullet.loadURDF(
                str(file),
                where.position,
                where.orientation,
                useFixedBase=is_fixed,
                globalScaling=description.scale,
                flags=SELF_COLLISION[description.self_collision]
                | pybullet.URDF_USE_INERTIA_FROM_FILE,
                physicsClientId=client,
            )
    except EngineError as error:
        raise RobotDescriptionError(
            f"robot description '{model.file}' was refused by the physics engine: "
            f"{output.cause() or error}."
        ) from error
    finally:
        pybullet.setPhysicsEngineParameter(enableFileCaching=1, physicsClientId=client)
    return LoadedModel(body, frame)


def couple_mimics(client: int, body: int, model: RobotModel) -> None:
    """Make the mimic joints of a body follow."""
    count = pybullet.getNumJoints(body, physicsClientId=client)
    infos = [pybullet.getJointInfo(body, number, client) for number in range(count)]
    links = {info[1].decode(): info[0] for info in infos}
    for joint in model.joints:
        mimic = joint.mimic
        if mimic is None or mimic.multiplier == 0:
            continue
        gear = pybullet.createConstraint(
            body, links[mimic.joint], body, links[joint.name], pybullet.JOINT_GEAR,
            joint.axis.tolist(), (0, 0, 0), (0, 0, 0), physicsClientId=client,
        )  # fmt: skip
        pybullet.changeConstraint(
            gear,
            gearRatio=-1.0 / mimic.multiplier,
            relativePositionTarget=-mimic.offset / mimic.multiplier,
            maxForce=_GEAR_FORCE,
            erp=_GEAR_ERP,
            physicsClientId=client,
        )
