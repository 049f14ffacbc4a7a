"""From a robot spec to a body in a world, by way of the robot model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from roboyard.config.robots import RobotSpec
from roboyard.robots.compatibility import as_in_first_version
from roboyard.robots.normalization import Normalization, grouped, normalize
from roboyard.robots.readers.files import read_robot, read_robots
from roboyard.sim import Placement, RobotDescription, World, data_path
from roboyard.sim.assets import find_description
from roboyard.sim.mechanics import quaternion_from_rotation
from roboyard.sim.model import RobotModel
from roboyard.sim.rotations import quaternion

Masses = Literal["file", "shapes", "computed"]

_LOG = logging.getLogger(__name__)
_TOLD: set[Path] = set()


def load_model(world: World, spec: RobotSpec, file: Path) -> int:
    """Load the robot of a spec and return its body's number.

    Raises:
        RobotDescriptionError: The file is wrong; the message names the place.
    """
    model = simulated_model(spec, file, world.max_links)
    _tell(file, model)
    described = RobotDescription(
        file, spec.fixed_base, spec.scale, self_collision=spec.self_collision, model=model
    )
    return world.load_robot(described, placement_of(spec, model))[0]


def _tell(file: Path, model: RobotModel) -> None:
    """Log once a process in what the robot differs from its file."""
    if file not in _TOLD:
        _TOLD.add(file)
        for line in grouped(model.remarks):
            _LOG.warning("robot '%s': %s.", file.name, line)


def described_model(spec: RobotSpec, file: Path) -> RobotModel:
    """Return the model of the robot as its file tells it.

    Raises:
        RobotDescriptionError: The file is wrong; the message names the place.
    """
    return read_robot(file, spec.packages, spec.body, (data_path(),))


def simulated_model(spec: RobotSpec, file: Path, max_links: int | None = None) -> RobotModel:
    """Return the model of the robot that a spec describes, as it is simulated.

    Args:
        spec: The robot.
        file: Its description.
        max_links: Most links that the engine takes.

    Raises:
        RobotDescriptionError: The file is wrong; the message names the place.
    """
    read = described_model(spec, file)
    kept = {*spec.feet, *(link for group in spec.actuators for link in group.links)}
    kept |= {link for link in (spec.base_link, *(g.link for g in spec.actuators)) if link}
    options = Normalization(
        inertia="refuse" if spec.inertia == "refuse" else "mend",
        masses=spec.inertia if spec.inertia in ("shapes", "computed") else "file",
        merge_fixed=spec.merge_fixed,
        keep=frozenset(kept),
        max_links=max_links,
    )
    return normalize(read, options)


def placement_of(spec: RobotSpec, model: RobotModel) -> Placement:
    """Return where the base is put: where the spec says, else where the file says."""
    x, y, z = model.pose.position.tolist()
    w, i, j, k = quaternion_from_rotation(model.pose.rotation).tolist()
    turned = (i, j, k, w) if spec.rotation is None else quaternion(spec.rotation)
    return Placement(spec.position or (x, y, z), turned)


def models_of(description: RobotDescription) -> tuple[RobotModel, ...]:
    """Return every robot of a description's file, normalised.

    Raises:
        RobotDescriptionError: The file is missing or wrong; the message names the place.
    """
    file = find_description(description.file)
    masses: Masses = "shapes" if description.inertia == "shapes" else "file"
    options = Normalization(masses="computed" if description.is_mjcf else masses)
    read = read_robots(file, last=(data_path(),))
    models = tuple(
        normalize(as_in_first_version(robot, is_mjcf=description.is_mjcf), options)
        for robot in read
    )
    for model in models:
        _tell(file, model)
    return models
