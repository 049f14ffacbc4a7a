"""URDF, as ROS defines it, with PyBullet's capsules, planes, spherical joints and contacts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from roboyard.registry import suggest
from roboyard.robots.readers.packages import MeshFinder
from roboyard.robots.readers.shapes import SHAPES, shape_of
from roboyard.robots.readers.values import Reading
from roboyard.robots.readers.xml import Document, XmlNode, read_xml
from roboyard.sim.model import (
    DescribedActuator,
    DescribedSensor,
    Geometry,
    Inertial,
    Joint,
    JointKind,
    Link,
    LinkShape,
    Mesh,
    Mimic,
    RobotModel,
)

KINDS = {
    "fixed": JointKind.FIXED,
    "revolute": JointKind.REVOLUTE,
    "continuous": JointKind.REVOLUTE,
    "prismatic": JointKind.PRISMATIC,
    "spherical": JointKind.SPHERICAL,
    "planar": JointKind.PLANAR,
    "floating": JointKind.FLOATING,
}
CONTACT = (
    "lateral_friction", "rolling_friction", "spinning_friction", "restitution", "contact_cfm",
    "contact_erp", "stiffness", "damping",
)  # fmt: skip
"""Elements of PyBullet's ``<contact>``."""
_KNOWN = {
    "link": ("inertial", "collision", "visual", "contact"),
    "joint": ("origin", "parent", "child", "axis", "limit", "dynamics", "mimic"),
}


def read_urdf(file: Path, meshes: MeshFinder) -> RobotModel:
    """Read a URDF file.

    Raises:
        RobotDescriptionError: It is wrong; the message names the line and what to change.
    """
    return model_from_urdf(read_xml(file), file, meshes)


def model_from_urdf(document: Document, file: Path, meshes: MeshFinder) -> RobotModel:
    """Return the model of a URDF that is read already; see :func:`read_urdf`."""
    return _UrdfReader(document, file, meshes).model()


class _UrdfReader:
    def __init__(self, document: Document, file: Path, meshes: MeshFinder) -> None:
        self.root = document.root
        self.file = file
        self.meshes = meshes
        self.reading = Reading(str(file), document.remarks)
        self.colors: dict[str, tuple[float, float, float, float]] = {}

    def model(self) -> RobotModel:
        root, reading = self.root, self.reading
        if root.tag != "robot":
            raise reading.refuse(
                root, "", f"it is not URDF: its root element is <{root.tag}>, not <robot>."
            )
        for node in root.findall("material"):
            self.color(node)
        links = tuple(self.link(node) for node in root.findall("link"))
        if not links:
            raise reading.refuse(root, "", "it has no links.")
        joints = tuple(self.joint(node) for node in root.findall("joint"))
        for node in root.children:
            if node.tag not in ("link", "joint", "material", "transmission", "gazebo", "sensor"):
                self.unknown(node)
        return RobotModel(
            root.get("name") or self.file.stem,
            links,
            joints,
            sensors=self.sensors(),
            actuators=self.actuators(),
            remarks=reading.all_remarks(),
            file=str(self.file),
        )

    def unknown(self, node: XmlNode) -> None:
        if node.tag.startswith("xacro:"):
            raise self.reading.refuse(
                node, "", f"<{node.tag}> is xacro that was not expanded: give the .xacro file, or "
                "expand it first (xacro FILE.xacro > FILE.urdf)."
            )  # fmt: skip
        self.reading.ignore(node)

    def link(self, node: XmlNode) -> Link:
        name = self.reading.name(node, "link")
        where = f"link '{name}'"
        for child in node.children:
            if child.tag not in _KNOWN["link"]:
                self.reading.ignore(child, "link's ")
        inertials = node.findall("inertial")
        for extra in inertials[1:]:
            self.reading.remark("repeated", extra, where, "a second <inertial> is not used",
                                "a link has one")  # fmt: skip
        return Link(
            name,
            self.inertial(inertials[0], where) if inertials else None,
            self.shapes(node, "collision", where),
            self.shapes(node, "visual", where),
            self.contact(node.find("contact"), where),
            node.source,
        )

    def inertial(self, node: XmlNode, where: str) -> Inertial:
        reading = self.reading
        pose = reading.pose(node.find("origin"), where)
        mass_node = node.find("mass")
        if mass_node is None:
            raise reading.refuse(node, where, "<inertial> has no <mass value=\"...\"/>; add it, or "
                                 "leave <inertial> out for a link without mass.")  # fmt: skip
        mass = reading.number(mass_node, "value", where)
        if mass < 0:
            raise reading.refuse(
                mass_node, where, f"its mass is {mass:g}, but must not be negative."
            )
        moments = node.find("inertia")
        if moments is None:
            return Inertial(mass, pose.position, np.zeros((3, 3)))
        xx, yy, zz = (
            reading.number(moments, f"i{axes}", where, 0.0) for axes in ("xx", "yy", "zz")
        )
        xy, xz, yz = (
            reading.number(moments, f"i{axes}", where, 0.0) for axes in ("xy", "xz", "yz")
        )
        matrix = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        return Inertial(mass, pose.position, pose.rotation @ matrix @ pose.rotation.T)

    def contact(self, node: XmlNode | None, where: str) -> dict[str, float]:
        found = {}
        for child in node.children if node is not None else ():
            if child.tag in CONTACT:
                found[child.tag] = self.reading.number(child, "value", where)
            else:
                self.reading.ignore(child, "contact's ")
        return found

    def shapes(self, link: XmlNode, use: str, where: str) -> tuple[LinkShape, ...]:
        found = [self.shape(node, where) for node in link.findall(use)]
        return tuple(shape for shape in found if shape is not None)

    def shape(self, node: XmlNode, where: str) -> LinkShape | None:
        geometry = node.find("geometry")
        if geometry is None or not geometry.children:
            raise self.reading.refuse(
                node, where, f"a <{node.tag}> has no shape: give <geometry> a <box>, <sphere>, "
                "<cylinder>, <capsule> or <mesh>."
            )  # fmt: skip
        made = self.geometry(geometry.children[0], node, where)
        if made is None:
            return None
        material = node.find("material")
        return LinkShape(
            made,
            self.reading.pose(node.find("origin"), where),
            node.get("name"),
            self.color(material) if material is not None else None,
            source=node.source,
        )

    def geometry(self, node: XmlNode, owner: XmlNode, where: str) -> Geometry | None:
        if node.tag == "mesh":
            return self.mesh(node, owner, where)
        if node.tag not in SHAPES:
            raise self.reading.refuse(
                node, where, f"the {owner.tag} shape <{node.tag}> is not known."
                f"{suggest(node.tag, (*SHAPES, 'mesh'))} Use one of: "
                f"{', '.join((*SHAPES, 'mesh'))}."
            )  # fmt: skip
        made = shape_of(self.reading, node, where)
        if made is None:
            self.reading.remark("shape-empty", node, where, f"a {owner.tag} {node.tag} is left out",
                                "one of its measures is 0")  # fmt: skip
        return made

    def mesh(self, node: XmlNode, owner: XmlNode, where: str) -> Mesh | None:
        name = node.get("filename")
        if not name:
            raise self.reading.refuse(node, where, f"the <mesh> of a {owner.tag} has no filename.")
        scale = self.reading.vector(node, "scale", where, (1.0, 1.0, 1.0))
        if not scale.all():
            raise self.reading.refuse(node, where, f"the scale of mesh '{name}' holds a 0.")
        file = self.meshes.find(name, self.file)
        x, y, z = scale.tolist()
        is_concave = owner.get("concave").lower() in ("yes", "true", "1")
        if file is None:
            self.missing(node, owner, where, name)
            return None
        return Mesh(str(file), (x, y, z), is_concave)

    def missing(self, node: XmlNode, owner: XmlNode, where: str, name: str) -> None:
        why = self.meshes.why_missing(name, self.file)
        if owner.tag == "collision":
            raise self.reading.refuse(node, where, f"the collision mesh '{name}' {why}")
        self.reading.remark("visual-missing", node, where, f"the visual mesh '{name}' is not shown",
                            why.rstrip("."))  # fmt: skip

    def color(self, node: XmlNode) -> tuple[float, float, float, float] | None:
        color = node.find("color")
        name = node.get("name")
        if color is None:
            return self.colors.get(name)
        values = self.reading.numbers(color, "rgba", 4, f"material '{name}'")
        if values is None:
            return None
        red, green, blue, alpha = np.clip(values, 0.0, 1.0).tolist()
        if name:
            self.colors[name] = (red, green, blue, alpha)
        return red, green, blue, alpha

    def joint(self, node: XmlNode) -> Joint:
        reading = self.reading
        name = reading.name(node, "joint")
        where = f"joint '{name}'"
        kind = KINDS.get(node.get("type"))
        if kind is None:
            raise reading.refuse(node, where, f"its type is '{node.get('type')}'."
                                 f"{suggest(node.get('type'), tuple(KINDS))} Allowed: "
                                 f"{', '.join(KINDS)}.")  # fmt: skip
        for child in node.children:
            if child.tag not in _KNOWN["joint"]:
                reading.ignore(child, "joint's ")
        lower, upper, effort, velocity = self.limits(node, kind, where)
        damping, friction = self.dynamics(node.find("dynamics"), where)
        return Joint(
            name,
            kind,
            self.end(node, "parent", where),
            self.end(node, "child", where),
            reading.pose(node.find("origin"), where),
            reading.vector(node.find("axis"), "xyz", where, (1.0, 0.0, 0.0)),
            lower=lower,
            upper=upper,
            effort=effort,
            velocity=velocity,
            damping=damping,
            friction=friction,
            is_endless=node.get("type") == "continuous",
            mimic=self.mimic(node.find("mimic"), where),
            source=node.source,
        )

    def end(self, node: XmlNode, tag: str, where: str) -> str:
        child = node.find(tag)
        if child is None or not child.get("link"):
            raise self.reading.refuse(node, where, f'it has no <{tag} link="..."/>.')
        return child.get("link")

    def limits(
        self, node: XmlNode, kind: JointKind, where: str
    ) -> tuple[float, float, float, float]:
        """Return lower and upper limit, effort and velocity; infinite where there is none."""
        limit, reading = node.find("limit"), self.reading
        is_bounded = kind is JointKind.PRISMATIC or node.get("type") == "revolute"
        if limit is None:
            if is_bounded:
                raise reading.refuse(
                    node, where, 'it has no <limit lower="..." upper="..." effort="..." '
                    'velocity="..."/>; add it' + (", or make it continuous."
                    if kind is JointKind.REVOLUTE else "."))  # fmt: skip
            return -math.inf, math.inf, math.inf, math.inf
        bounds = reading.limit(limit, "lower", where), reading.limit(limit, "upper", where)
        effort, velocity = (
            self.strength(limit, name, where) for name in ("effort", "velocity")
        )  # fmt: skip
        if not is_bounded:
            if any(bounds) and node.get("type") == "continuous":
                reading.remark("limit-of-continuous", limit, where, "it has no position limits",
                               "its type is continuous")  # fmt: skip
            return -math.inf, math.inf, effort, velocity
        lower, upper = self.bounds(limit, bounds, where)
        return lower, upper, effort, velocity

    def bounds(
        self, node: XmlNode, bounds: tuple[float | None, float | None], where: str
    ) -> tuple[float, float]:
        if bounds == (None, None):
            self.reading.remark("limit-missing", node, where, "it has no position limits",
                                "<limit> has neither lower nor upper")  # fmt: skip
            return -math.inf, math.inf
        lower, upper = (0.0 if value is None else value for value in bounds)
        endless = [name for name, b in (("lower", lower), ("upper", upper)) if math.isinf(b)]
        if len(endless) == 2 and lower < upper:
            self.reading.remark("limit-missing", node, where, "it has no position limits",
                                "they are endless in the file")  # fmt: skip
            return lower, upper
        if endless:
            raise self.reading.refuse(
                node, where, f"{endless[0]} of <limit> is '{node.get(endless[0])}', but must hold "
                "finite numbers, or both be endless."
            )  # fmt: skip
        if lower > upper:
            raise self.reading.refuse(
                node, where, f"its limits are reversed: lower is {lower:g}, upper is {upper:g}. "
                "Swap them; a joint without limits has type 'continuous'."
            )  # fmt: skip
        return lower, upper

    def strength(self, node: XmlNode, name: str, where: str) -> float:
        value = self.reading.limit(node, name, where)
        if value is None:
            return math.inf
        if value < 0:
            raise self.reading.refuse(
                node, where, f"its {name} limit is {value:g}, but must not be negative."
            )
        if value == 0:
            self.reading.remark(f"{name}-zero", node, where, f"its {name} has no limit",
                                f"a limit of 0 would never let it move ({name}=\"0\")")  # fmt: skip
            return math.inf
        return value

    def dynamics(self, node: XmlNode | None, where: str) -> tuple[float, float]:
        if node is None:
            return 0.0, 0.0
        values = [self.reading.number(node, name, where, 0.0) for name in ("damping", "friction")]
        for name, value in zip(("damping", "friction"), values, strict=True):
            if value < 0:
                raise self.reading.refuse(
                    node, where, f"its {name} is {value:g}, but must not be negative."
                )
        return values[0], values[1]

    def mimic(self, node: XmlNode | None, where: str) -> Mimic | None:
        if node is None:
            return None
        if not node.get("joint"):
            raise self.reading.refuse(node, where, "<mimic> names no joint.")
        return Mimic(
            node.get("joint"),
            self.reading.number(node, "multiplier", where, 1.0),
            self.reading.number(node, "offset", where, 0.0),
        )

    def sensors(self) -> tuple[DescribedSensor, ...]:
        found = []
        for holder in (self.root, *self.root.findall("gazebo")):
            for node in holder.findall("sensor"):
                parent = node.find("parent")
                link = holder.get("reference") or (parent.get("link") if parent is not None else "")
                kind = node.get("type") or "sensor"
                pose = self.reading.pose(node.find("origin"), f"sensor '{node.get('name')}'")
                found.append(DescribedSensor(node.get("name"), kind, link, pose, node.source))
            if holder is not self.root:
                self.reading.ignore(holder)
        return tuple(found)

    def actuators(self) -> tuple[DescribedActuator, ...]:
        found = []
        for node in self.root.findall("transmission"):
            for joint in node.findall("joint"):
                name = node.get("name") or joint.get("name")
                found.append(
                    DescribedActuator(name, "transmission", joint.get("name"), source=node.source)
                )
        return tuple(found)
