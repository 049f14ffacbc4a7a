"""Canonical MJCF: explicit masses, inertias and ranges, angles in radians, no defaults.

MuJoCo wants a mass in every body that moves. Links without mass or shapes between two joints are
therefore no bodies of their own: their joints stand in the body that follows, in order, each with
its anchor and axis in that body's frame, which is the same motion.
"""

from __future__ import annotations

import math
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

import numpy as np

from roboyard.sim.mechanics import children_of, quaternion_from_rotation
from roboyard.sim.model import (
    IDENTITY,
    Box,
    Capsule,
    Cylinder,
    Ellipsoid,
    Floats,
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
from roboyard.sim.writers.meshes import MeshStore
from roboyard.sim.writers.urdf import principal_frame

_TYPES = {JointKind.REVOLUTE: "hinge", JointKind.PRISMATIC: "slide"}


_NARROW = 1e-6
_WORLD = "world"
_NEXT_TO_NOTHING = Inertial(1e-9, np.zeros(3), np.eye(3) * 1e-12)
"""What MuJoCo is told of a body without mass that moves; it wants some."""


class _Placed(NamedTuple):
    """A joint, and where its child's frame lies, in the frame of the last body."""

    joint: Joint
    pose: Pose


def write_mjcf(model: RobotModel, meshes: MeshStore | None = None) -> str:
    """Return a normalised model as canonical MJCF.

    Raises:
        RobotDescriptionError: A collision mesh cannot be read.
    """
    return _MjcfWriter(model, meshes or MeshStore()).text()


class _MjcfWriter:
    def __init__(self, model: RobotModel, meshes: MeshStore) -> None:
        self.model, self.meshes = model, meshes
        self.below = children_of(model)
        self.links = {link.name: link for link in model.links}
        self.lines: list[str] = []
        self.assets: dict[tuple[str, tuple[float, float, float]], str] = {}

    def text(self) -> str:
        self.body(self.model.root, (), self.model.pose)
        assets = [
            f'<mesh name="{name}" file={quoteattr(path)} scale="{_numbers(scale)}" '
            'inertia="shell"/>'
            for (path, scale), name in self.assets.items()
        ]
        name = quoteattr(self.model.name[:200] or "robot")
        return "\n".join([
            f"<mujoco model={name}>",
            '<compiler angle="radian" autolimits="false" inertiafromgeom="false" '
            'fusestatic="false"/>',
            "<asset>", *assets, "</asset>",
            "<worldbody>", *self.lines, "</worldbody>",
            "<equality>", *self.mimics(), "</equality>",
            "</mujoco>", "",
        ])  # fmt: skip

    def body(self, name: str, held: tuple[_Placed, ...], pose: Pose) -> None:
        """Write a link and what it carries; ``pose`` is in the frame of the body around it."""
        if held and self.is_between(name):
            for joint in self.below[name]:
                self.child(joint, held, pose)
            return
        link = self.links[name]
        if name == self.model.root and self.model.is_fixed and _is_bare(link):
            for joint in self.below[name]:  # It is the world itself.
                self.child(joint, (), pose)
            return
        self.lines.append(f"<body name={quoteattr(self.name(name))} {_placed(pose)}>")
        if name == self.model.root and not self.model.is_fixed:
            self.lines.append("<freejoint/>")
        for placed in held:
            self.joint(placed.joint, pose.inverse() @ placed.pose)
        self.inertial(link, moves=bool(held))
        for shape in link.collisions:
            self.shape(shape, 'group="3"')
        for shape in link.visuals:
            self.shape(shape, 'contype="0" conaffinity="0" group="1"')
        for joint in self.below[name]:
            self.child(joint, (), IDENTITY)
        self.lines.append("</body>")

    def is_between(self, name: str) -> bool:
        """Return whether a link is but a frame between joints, of which one follows."""
        return _is_bare(self.links[name]) and len(self.below[name]) == 1

    def name(self, name: str) -> str:
        """Return a body's name: MuJoCo keeps one for the world."""
        if name == _WORLD:
            while name in self.links:
                name += "_"
        return name

    def child(self, joint: Joint, held: tuple[_Placed, ...], pose: Pose) -> None:
        place = pose @ joint.origin
        if joint.is_movable:
            held = (*held, _Placed(joint, place))
        self.body(joint.child, held, place)

    def joint(self, joint: Joint, pose: Pose) -> None:
        """Write a joint whose child's frame lies at ``pose`` in the body."""
        axis = pose.rotation @ joint.axis
        anchor = pose.position + pose.rotation @ joint.anchor
        words = [
            f'type="{_TYPES[joint.kind]}" pos="{_numbers(anchor)}" axis="{_numbers(axis)}"',
            f'damping="{joint.damping!r}" frictionloss="{joint.friction!r}"',
            f'armature="{joint.armature!r}"',
        ]
        if joint.stiffness:
            words.append(f'stiffness="{joint.stiffness!r}" springref="{joint.spring_reference!r}"')
        if joint.has_limits and joint.lower == joint.upper:
            # MuJoCo takes no empty range, and would let a locked joint go.
            words.append(f'limited="true" range="{joint.lower!r} {joint.lower + _NARROW!r}"')
        elif joint.has_limits:
            words.append(f'limited="true" range="{joint.lower!r} {joint.upper!r}"')
        if not math.isinf(joint.effort):
            words.append('actuatorfrclimited="true" '
                         f'actuatorfrcrange="{-joint.effort!r} {joint.effort!r}"')  # fmt: skip
        self.lines.append(f"<joint name={quoteattr(joint.name)} {' '.join(words)}/>")

    def inertial(self, link: Link, moves: bool) -> None:
        inertial = link.inertial
        if inertial is None and moves:
            inertial = _NEXT_TO_NOTHING
        if inertial is None:
            return
        moments, axes = principal_frame(inertial.inertia)
        place = _placed(Pose(inertial.center, axes))
        self.lines.append(
            f'<inertial {place} mass="{inertial.mass!r}" diaginertia="{_numbers(moments)}"/>'
        )

    def shape(self, shape: LinkShape, words: str) -> None:
        color = f' rgba="{_numbers(np.array(shape.color))}"' if shape.color else ""
        self.lines.append(
            f'<geom {self.measures(shape)} mass="0" {_placed(shape.pose)} {words}{color}/>'
        )

    def measures(self, shape: LinkShape) -> str:  # noqa: PLR0911
        match shape.geometry:
            case Box(size=(x, y, z)):
                return f'type="box" size="{x / 2!r} {y / 2!r} {z / 2!r}"'
            case Sphere(radius=radius):
                return f'type="sphere" size="{radius!r}"'
            case Cylinder(radius=radius, length=length):
                return f'type="cylinder" size="{radius!r} {length / 2!r}"'
            case Capsule(radius=radius, length=length):
                return f'type="capsule" size="{radius!r} {length / 2!r}"'
            case Ellipsoid(radii=radii):
                return f'type="ellipsoid" size="{_numbers(np.array(radii))}"'
            case Plane():
                return 'type="plane" size="0 0 1"'
            case Mesh() as mesh:
                return f'type="mesh" mesh="{self.asset(mesh)}"'

    def asset(self, mesh: Mesh) -> str:
        key = (str(self.meshes.path(mesh)), mesh.scale)
        return self.assets.setdefault(key, f"mesh{len(self.assets)}")

    def mimics(self) -> list[str]:
        return [
            f"<joint joint1={quoteattr(joint.name)} joint2={quoteattr(joint.mimic.joint)} "
            f'polycoef="{joint.mimic.offset!r} {joint.mimic.multiplier!r} 0 0 0"/>'
            for joint in self.model.joints
            if joint.mimic is not None
        ]


def _is_bare(link: Link) -> bool:
    return link.mass == 0 and not link.collisions and not link.visuals


def _placed(pose: Pose) -> str:
    return (
        f'pos="{_numbers(pose.position)}" '
        f'quat="{_numbers(quaternion_from_rotation(pose.rotation))}"'
    )


def _numbers(values: Floats | tuple[float, ...]) -> str:
    return " ".join(repr(float(value)) for value in values)
