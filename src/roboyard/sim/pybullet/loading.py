"""Loading robot descriptions, with errors that name the file and the cause."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from roboyard.errors import RobotDescriptionError
from roboyard.sim.assets import find_description  # noqa: F401  (its former place)
from roboyard.sim.descriptions import Placement, RobotDescription
from roboyard.sim.pybullet.engine import EngineError, captured_output, pybullet

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


def load_urdf(client: int, file: Path, description: RobotDescription, where: Placement) -> int:
    """Load a URDF file that exists; return the body's id.

    Raises:
        RobotDescriptionError: The file is not a URDF, or the engine refuses it.
    """
    check_urdf(file)
    flags = SELF_COLLISION[description.self_collision]
    if description.inertia == "file":
        flags |= pybullet.URDF_USE_INERTIA_FROM_FILE
    with captured_output() as output:
        try:
            body: int = pybullet.loadURDF(
                str(file),
                where.position,
                where.orientation,
                useFixedBase=description.fixed_base,
                globalScaling=description.scale,
                flags=flags,
                physicsClientId=client,
            )
        except EngineError as error:
            failure = error
        else:
            return body
    raise _refused(file, output.cause()) from failure


def load_mjcf(client: int, file: Path, flags: int) -> tuple[int, ...]:
    """Load a MJCF file that exists; return the bodies' ids.

    Raises:
        RobotDescriptionError: The file is not MJCF, or the engine refuses it.
    """
    _parse(file, "mujoco", "MJCF")
    with captured_output() as output:
        try:
            bodies: tuple[int, ...] = pybullet.loadMJCF(
                str(file), flags=flags, physicsClientId=client
            )
        except EngineError as error:
            failure: Exception | None = error
        else:
            if bodies:
                return bodies
            failure = None
    raise _refused(file, output.cause()) from failure


def check_urdf(file: Path) -> None:
    """Check what can be checked without the engine.

    Raises:
        RobotDescriptionError: Not XML, not a URDF, no links, or a joint between unknown links.
    """
    root = _parse(file, "robot", "URDF")
    links = {link.get("name", "") for link in root.findall("link")}
    if not links:
        raise RobotDescriptionError(f"robot description '{file}' has no links.")
    for joint in root.findall("joint"):
        for end in ("parent", "child"):
            element = joint.find(end)
            link = element.get("link") if element is not None else None
            if link not in links:
                raise RobotDescriptionError(
                    f"robot description '{file}': joint '{joint.get('name')}' has the {end} link "
                    f"'{link}', which does not exist. Links: {', '.join(sorted(links)[:20])}."
                )


def _parse(file: Path, tag: str, kind: str) -> ElementTree.Element:
    try:
        root = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        raise RobotDescriptionError(
            f"robot description '{file}' is not XML ({error}). Give a {kind} file."
        ) from error
    except (OSError, ValueError, LookupError) as error:
        raise RobotDescriptionError(
            f"robot description '{file}' cannot be read ({error})."
        ) from error
    if root.tag != tag:
        raise RobotDescriptionError(
            f"robot description '{file}' is not {kind}: its root element is <{root.tag}>, "
            f"not <{tag}>."
        )
    return root


def _refused(file: Path, cause: str) -> RobotDescriptionError:
    return RobotDescriptionError(
        f"robot description '{file}' was refused by the physics engine: "
        f"{cause or 'it gave no reason; look for missing meshes, joint limits or inertias'}."
    )
