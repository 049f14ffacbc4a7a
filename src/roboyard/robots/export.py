"""A robot as it is simulated, as a file that other programs read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from roboyard.robots.normalization import Normalization, normalize
from roboyard.robots.readers.files import read_robot
from roboyard.robots.spec import find_asset, list_robots, load_robot
from roboyard.sim import data_path
from roboyard.sim.model import Remark
from roboyard.sim.writers.meshes import MeshStore
from roboyard.sim.writers.mjcf import write_mjcf
from roboyard.sim.writers.urdf import write_urdf

Format = Literal["urdf", "mjcf"]


class ExportedRobot(NamedTuple):
    """A description that was written."""

    text: str
    remarks: tuple[Remark, ...]
    """What differs from the file."""


def export_robot(
    robot: str,
    form: Format,
    meshes: Path,
    *,
    body: str | None = None,
    packages: Mapping[str, str] | None = None,
    options: Normalization | None = None,
) -> ExportedRobot:
    """Return the robot that is simulated as URDF or MJCF.

    Args:
        robot: Description file, YAML file of a spec, or name in the catalogue.
        form: Format to write.
        meshes: Folder for the meshes that the text names; it is made if needed.
        body: A link of the robot, where the file describes several.
        packages: Folders of the packages that ``package://`` names.
        options: How the robot is normalised.

    Raises:
        RobotDescriptionError: The description is wrong.
        MissingDependencyError: Its format needs a package that is not installed.
    """
    file = description_of(robot)
    model = normalize(read_robot(file, packages, body, (data_path(),)), options)
    store = MeshStore(meshes)
    if form == "mjcf":
        return ExportedRobot(write_mjcf(model, store), model.remarks)
    written = write_urdf(model, store)
    return ExportedRobot(written.text, (*model.remarks, *written.remarks))


def description_of(robot: str) -> Path:
    """Return the description file that a robot's name, spec or path means.

    Raises:
        RobotDescriptionError: There is none.
    """
    if robot in list_robots() or Path(robot).suffix in (".yaml", ".yml"):
        return find_asset(load_robot(robot).file)
    return find_asset(robot)
