"""One door for every format: a file becomes the model of the robot in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from roboyard.errors import RobotDescriptionError
from roboyard.registry import suggest
from roboyard.robots.readers.mjcf import read_mjcf
from roboyard.robots.readers.packages import MeshFinder
from roboyard.robots.readers.sdf import read_sdf
from roboyard.robots.readers.urdf import model_from_urdf
from roboyard.robots.readers.xacro import expand_xacro, is_xacro
from roboyard.robots.readers.xml import read_xml
from roboyard.sim.model import Remark, RobotModel


def read_robot(
    file: Path,
    packages: Mapping[str, str] | None = None,
    body: str | None = None,
    last: tuple[Path, ...] = (),
) -> RobotModel:
    """Return the robot that a file describes.

    Args:
        file: URDF, xacro, MJCF or SDF; what it is follows from its root element.
        packages: Folders of the packages that ``package://`` names.
        body: A link of the robot, where the file describes several.
        last: Folders in which meshes are looked for last.

    Raises:
        RobotDescriptionError: The file is wrong, or has no robot with that link.
        MissingDependencyError: The format needs a package that is not installed.
    """
    robots = read_robots(file, packages, last)
    chosen = max(robots, key=lambda robot: len(robot.movable_joints))
    if body is not None:
        chosen = _with_link(robots, body, file)
    others = [robot.root or robot.name for robot in robots if robot is not chosen]
    if not others:
        return chosen
    remark = Remark("other-robots", "the file", f"{_listed(others)} left out", "one robot is "
                    "simulated; robot.body chooses another")  # fmt: skip
    return chosen.replace((remark,))


def read_robots(
    file: Path, packages: Mapping[str, str] | None = None, last: tuple[Path, ...] = ()
) -> tuple[RobotModel, ...]:
    """Return every robot of a file; see :func:`read_robot`."""
    document = read_xml(file)
    tag = document.root.tag
    meshes = MeshFinder(packages, last)
    if tag in ("mujoco", "mujocoinclude"):
        return read_mjcf(file)
    if tag == "sdf":
        return read_sdf(document, file, meshes)
    if tag == "robot":
        if is_xacro(file, document.root):
            document = expand_xacro(file)
        return (model_from_urdf(document, file, meshes),)
    raise RobotDescriptionError(
        f"robot description '{file}' is none of URDF, MJCF and SDF: its root element is <{tag}>. "
        "Give a file with <robot>, <mujoco> or <sdf>."
    )


def _with_link(robots: tuple[RobotModel, ...], body: str, file: Path) -> RobotModel:
    for robot in robots:
        if body == robot.name or any(link.name == body for link in robot.links):
            return robot
    names = [link.name for robot in robots for link in robot.links]
    raise RobotDescriptionError(
        f"robot description '{file}': body: no body has a link '{body}'.{suggest(body, names)} "
        f"Links: {_listed(names)}."
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown
