"""SDF: models of links and joints, with poses in the frames that the file names.

Read: links, inertials, collisions, visuals, joints of one degree of freedom and balls, frames,
sensors. Models within models, includes, and joints of two axes are refused by name.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from roboyard.errors import RobotDescriptionError
from roboyard.registry import suggest
from roboyard.robots.readers.packages import MeshFinder
from roboyard.robots.readers.values import Reading
from roboyard.robots.readers.xml import Document, XmlNode
from roboyard.sim.mechanics import rotation_from_rpy
from roboyard.sim.model import (
    IDENTITY,
    Box,
    Capsule,
    Cylinder,
    DescribedSensor,
    Ellipsoid,
    Floats,
    Geometry,
    Inertial,
    Joint,
    JointKind,
    Link,
    LinkShape,
    Mesh,
    Plane,
    Pose,
    RobotModel,
    Sphere,
)

WORLD = "world"
KINDS = {
    "fixed": JointKind.FIXED,
    "revolute": JointKind.REVOLUTE,
    "continuous": JointKind.REVOLUTE,
    "prismatic": JointKind.PRISMATIC,
    "ball": JointKind.SPHERICAL,
}
_KNOWN = ("link", "joint", "pose", "static", "frame", "plugin", "self_collide", "sensor")
_REFUSED = ("model", "include")


def read_sdf(document: Document, file: Path, meshes: MeshFinder) -> tuple[RobotModel, ...]:
    """Return the models of an SDF file, those in its worlds included.

    Raises:
        RobotDescriptionError: It has no model, or one that is wrong; the message names the line.
    """
    holders = [document.root, *document.root.findall("world")]
    nodes = [node for holder in holders for node in holder.findall("model")]
    if not nodes:
        raise RobotDescriptionError(f"robot description '{file}' has no <model>.")
    return tuple(_ModelReader(document, node, file, meshes).model() for node in nodes)


class _ModelReader:
    def __init__(self, document: Document, node: XmlNode, file: Path, meshes: MeshFinder) -> None:
        self.node, self.file, self.meshes = node, file, meshes
        self.reading = Reading(str(file), document.remarks)
        self.frames = {
            part.get("name"): part
            for tag in ("frame", "joint", "link")
            for part in node.findall(tag)
        }
        self.poses: dict[str, Pose] = {"__model__": IDENTITY, "": IDENTITY, WORLD: IDENTITY}

    def model(self) -> RobotModel:
        node, reading = self.node, self.reading
        for child in node.children:
            if child.tag in _REFUSED:
                raise reading.refuse(child, "", f"<{child.tag}> in a <model> is not read; write "
                                     "its links and joints out.")  # fmt: skip
            if child.tag not in _KNOWN:
                reading.ignore(child)
        links = [self.link(child) for child in node.findall("link")]
        if not links:
            raise reading.refuse(node, "", f"model '{node.get('name')}' has no links.")
        joints = [self.joint(child) for child in node.findall("joint")]
        in_world = {joint.parent for joint in joints} - {link.name for link in links} == {WORLD}
        is_held = in_world or _text(node.find("static")) in ("1", "true")
        if in_world:
            links.insert(0, Link(WORLD))
        return RobotModel(
            node.get("name") or self.file.stem,
            tuple(links),
            tuple(joints),
            is_fixed=is_held,
            pose=self.own_pose(node, "model"),
            sensors=self.sensors(),
            remarks=reading.all_remarks(),
            file=str(self.file),
        )

    def own_pose(self, node: XmlNode, where: str) -> Pose:
        """Return the pose in ``<pose>``, in whatever frame it is given."""
        pose = node.find("pose")
        if pose is None or not pose.text.strip():
            return IDENTITY
        values = self.numbers(pose, 6, where)
        return Pose(np.array(values[:3]), rotation_from_rpy(values[3:]))

    def frame_pose(self, name: str, where: str, depth: int = 0) -> Pose:
        """Return the pose of a link, joint or frame in the model's frame."""
        if name in self.poses:
            return self.poses[name]
        node = self.frames.get(name)
        if node is None or depth > len(self.frames):
            problem = "is given by itself" if node is not None else "does not exist"
            raise self.reading.refuse(node or self.node, where, f"the frame '{name}' {problem}."
                                      f"{suggest(name, list(self.frames))}")  # fmt: skip
        pose = node.find("pose")
        base = pose.get("relative_to") if pose is not None else ""
        if not base and node.tag == "joint":
            base = _text(node.find("child"))
        if not base and node.tag == "frame":
            base = node.get("attached_to")
        found = self.frame_pose(base, where, depth + 1) @ self.own_pose(node, where)
        self.poses[name] = found
        return found

    def link(self, node: XmlNode) -> Link:
        name = self.reading.name(node, "link")
        where = f"link '{name}'"
        inertial = node.find("inertial")
        if inertial is None:
            self.reading.remark("sdf-default", node, where, "it weighs 1 kg with 1 kg m^2",
                                "SDF says so of links without <inertial>")  # fmt: skip
        return Link(
            name,
            self.inertial(inertial, where),
            self.shapes(node, "collision", where),
            self.shapes(node, "visual", where),
            source=node.source,
        )

    def inertial(self, node: XmlNode | None, where: str) -> Inertial:
        if node is None:
            return Inertial(1.0, np.zeros(3), np.eye(3))
        pose = self.own_pose(node, where)
        mass = self.value(node, "mass", where, 1.0)
        if mass < 0:
            raise self.reading.refuse(
                node, where, f"its mass is {mass:g}, but must not be negative."
            )
        moments = node.find("inertia")
        xx, yy, zz, xy, xz, yz = (
            self.value(moments, f"i{axes}", where, default) if moments is not None else default
            for axes, default in zip(("xx", "yy", "zz", "xy", "xz", "yz"), (1, 1, 1, 0, 0, 0),
                                     strict=True)
        )  # fmt: skip
        matrix = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        return Inertial(mass, pose.position, pose.rotation @ matrix @ pose.rotation.T)

    def shapes(self, link: XmlNode, use: str, where: str) -> tuple[LinkShape, ...]:
        found = []
        for node in link.findall(use):
            geometry = node.find("geometry")
            if geometry is None or not geometry.children:
                raise self.reading.refuse(node, where, f"a <{use}> has no shape.")
            pose = node.find("pose")
            if pose is not None and pose.get("relative_to"):
                base = self.frame_pose(link.get("name"), where).inverse()
                here = (
                    base
                    @ self.frame_pose(pose.get("relative_to"), where)
                    @ self.own_pose(node, where)
                )
            else:
                here = self.own_pose(node, where)
            made = self.geometry(geometry.children[0], use, where)
            if made is not None:
                found.append(LinkShape(made, here, node.get("name"), source=node.source))
        return tuple(found)

    def geometry(self, node: XmlNode, use: str, where: str) -> Geometry | None:
        match node.tag:
            case "box":
                x, y, z = self.numbers(self.child(node, "size", where), 3, where)
                made: Geometry = Box((x, y, z))
            case "sphere":
                made = Sphere(self.value(node, "radius", where))
            case "cylinder":
                made = Cylinder(
                    self.value(node, "radius", where), self.value(node, "length", where)
                )
            case "capsule":
                made = Capsule(self.value(node, "radius", where), self.value(node, "length", where))
            case "ellipsoid":
                a, b, c = self.numbers(self.child(node, "radii", where), 3, where)
                made = Ellipsoid((a, b, c))
            case "plane":
                return Plane()
            case "mesh":
                return self.mesh(node, use, where)
            case _:
                raise self.reading.refuse(
                    node, where, f"the {use} shape <{node.tag}> is not read. Use box, sphere, "
                    "cylinder, capsule, ellipsoid, plane or mesh."
                )  # fmt: skip
        measures = [m for value in vars(made).values() for m in np.atleast_1d(value).tolist()]
        if min(measures) < 0:
            raise self.reading.refuse(node, where, f"a measure of <{node.tag}> is negative.")
        if 0 in measures:
            self.reading.remark("shape-empty", node, where, f"a {use} <{node.tag}> is left out",
                                "one of its measures is 0")  # fmt: skip
            return None
        return made

    def mesh(self, node: XmlNode, use: str, where: str) -> Mesh | None:
        name = _text(self.child(node, "uri", where))
        scale = node.find("scale")
        x, y, z = self.numbers(scale, 3, where) if scale is not None else (1.0, 1.0, 1.0)
        file = self.meshes.find(name, self.file)
        if file is not None:
            return Mesh(str(file), (x, y, z))
        why = self.meshes.why_missing(name, self.file)
        if use == "collision":
            raise self.reading.refuse(node, where, f"the collision mesh '{name}' {why}")
        self.reading.remark("visual-missing", node, where, f"the visual mesh '{name}' is not shown",
                            why.rstrip("."))  # fmt: skip
        return None

    def joint(self, node: XmlNode) -> Joint:
        reading = self.reading
        name = reading.name(node, "joint")
        where = f"joint '{name}'"
        kind = KINDS.get(node.get("type"))
        if kind is None:
            raise reading.refuse(node, where, f"its type is '{node.get('type')}', but only "
                                 f"{', '.join(KINDS)} are simulated.")  # fmt: skip
        parent, child = (_text(self.child(node, end, where)) for end in ("parent", "child"))
        here, held, holder = (self.frame_pose(n, where) for n in (name, child, parent))
        in_child = held.inverse() @ here
        axis = node.find("axis")
        direction = (
            self.axis(axis, held, here, where) if axis is not None else np.array([0.0, 0.0, 1.0])
        )
        lower, upper, effort, velocity = self.limits(axis, where)
        damping, friction, stiffness, rest = self.dynamics(axis, where)
        is_endless = node.get("type") == "continuous"
        return Joint(
            name,
            kind,
            parent,
            child,
            holder.inverse() @ held,
            direction,
            in_child.position,
            -math.inf if is_endless else lower,
            math.inf if is_endless else upper,
            effort,
            velocity,
            damping,
            friction,
            stiffness=stiffness,
            spring_reference=rest,
            is_endless=is_endless,
            source=node.source,
        )

    def axis(self, node: XmlNode, child: Pose, joint: Pose, where: str) -> Floats:
        """Return the axis in the child's frame."""
        xyz = node.find("xyz")
        given = (
            np.array(self.numbers(xyz, 3, where)) if xyz is not None else np.array([0.0, 0.0, 1.0])
        )
        frame = joint
        if xyz is not None and xyz.get("expressed_in"):
            frame = self.frame_pose(xyz.get("expressed_in"), where)
        elif _text(node.find("use_parent_model_frame")) in ("1", "true"):
            frame = IDENTITY
        turned: Floats = child.rotation.T @ frame.rotation @ given
        return turned

    def limits(self, axis: XmlNode | None, where: str) -> tuple[float, float, float, float]:
        limit = axis.find("limit") if axis is not None else None
        if limit is None:
            return -math.inf, math.inf, math.inf, math.inf
        lower, upper = (
            self.bound(limit, n, where, d) for n, d in (("lower", -math.inf), ("upper", math.inf))
        )
        if lower > upper:
            raise self.reading.refuse(limit, where, f"its limits are reversed: lower is {lower:g}, "
                                      f"upper is {upper:g}. Swap them.")  # fmt: skip
        effort, velocity = (self.bound(limit, n, where, -1.0) for n in ("effort", "velocity"))
        if not effort > 0:
            effort = math.inf
        return lower, upper, effort, velocity if velocity > 0 else math.inf

    def bound(self, node: XmlNode, tag: str, where: str, default: float) -> float:
        child = node.find(tag)
        if child is None:
            return default
        child.attributes[tag] = child.text.strip()
        found = self.reading.limit(child, tag, where)
        return default if found is None else found

    def dynamics(self, axis: XmlNode | None, where: str) -> tuple[float, float, float, float]:
        node = axis.find("dynamics") if axis is not None else None
        if node is None:
            return 0.0, 0.0, 0.0, 0.0
        names = ("damping", "friction", "spring_stiffness", "spring_reference")
        damping, friction, stiffness, rest = (self.value(node, n, where, 0.0) for n in names)
        if min(damping, friction, stiffness) < 0:
            raise self.reading.refuse(node, where, "its <dynamics> must not be negative.")
        return damping, friction, stiffness, rest

    def sensors(self) -> tuple[DescribedSensor, ...]:
        return tuple(
            DescribedSensor(sensor.get("name"), sensor.get("type"), link.get("name"),
                            self.own_pose(sensor, f"sensor '{sensor.get('name')}'"), sensor.source)
            for link in self.node.findall("link") for sensor in link.findall("sensor")
        )  # fmt: skip

    def child(self, node: XmlNode, tag: str, where: str) -> XmlNode:
        child = node.find(tag)
        if child is None or not child.text.strip():
            raise self.reading.refuse(node, where, f"<{node.tag}> has no <{tag}>.")
        return child

    def value(self, node: XmlNode, tag: str, where: str, default: float | None = None) -> float:
        child = node.find(tag)
        if child is None and default is not None:
            return default
        return self.numbers(self.child(node, tag, where), 1, where)[0]

    def numbers(self, node: XmlNode, count: int, where: str) -> list[float]:
        """Return the numbers of an element's text."""
        node.attributes[node.tag] = node.text.strip()
        found = self.reading.numbers(node, node.tag, count, where)
        assert found is not None
        return found


def _text(node: XmlNode | None) -> str:
    return node.text.strip() if node is not None else ""
