"""Canonical URDF: what PyBullet reads right, and nothing that it reads wrong.

Its lines are short, its axes of unit length, its inertias diagonal in frames of principal axes, its
links complete, its meshes OBJ files of checked triangles.

PyBullet tells a base's pose in its inertial frame (centre and principal axes), not in the link's,
and makes inertias diagonal in axes of its own choice. Here the axes are chosen, of all orders and
signs those nearest to the link's own, and ``CanonicalUrdf.base`` says where the inertial frame
lies, so that whoever reads the base converts by one fixed pose. The other way, a base that carries
next to nothing at the link's origin and a fixed link with the mass, needs no conversion, but then
a mass or friction set for the base would go to the wrong part, and contacts would tell of two.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from roboyard.errors import RobotDescriptionError
from roboyard.sim.mechanics import rpy_from_rotation
from roboyard.sim.model import (
    IDENTITY,
    Box,
    Capsule,
    Cylinder,
    Ellipsoid,
    Floats,
    Joint,
    JointKind,
    Link,
    LinkShape,
    Mesh,
    Plane,
    Pose,
    Remark,
    RobotModel,
    Sphere,
)
from roboyard.sim.writers.meshes import MeshStore

LONGEST_LINE = 8191
"""PyBullet cuts longer lines [characters]."""
_DIAGONAL = 1e-12
_NO_BOUND = 1e9


@dataclass(frozen=True, eq=False)
class CanonicalUrdf:
    """A robot as PyBullet is given it."""

    text: str
    base: Pose
    """The root's inertial frame in its link frame."""
    remarks: tuple[Remark, ...]
    """What could not be handed over."""


def write_urdf(model: RobotModel, meshes: MeshStore | None = None) -> CanonicalUrdf:
    """Return a normalised model as canonical URDF.

    Raises:
        RobotDescriptionError: A collision mesh cannot be read, or a shape is none for a robot.
    """
    return _UrdfWriter(model, meshes or MeshStore()).document()


def principal_frame(inertia: Floats) -> tuple[Floats, Floats]:
    """Return principal moments, shape (3,), and axes, shape (3, 3), nearest to the given axes."""
    largest = np.abs(inertia).max()
    if np.abs(inertia - np.diag(np.diag(inertia))).max() <= _DIAGONAL * largest:
        return np.diag(inertia).copy(), np.eye(3)
    moments, axes = np.linalg.eigh(inertia)
    order = max(
        itertools.permutations(range(3)),
        key=lambda order: sum(abs(axes[row, column]) for row, column in enumerate(order)),
    )
    moments, axes = moments[list(order)], axes[:, list(order)]
    axes = axes * np.where(np.diag(axes) < 0, -1.0, 1.0)
    if np.linalg.det(axes) < 0:
        axes[:, int(np.argmin(np.abs(np.diag(axes))))] *= -1
    return moments, axes


class _UrdfWriter:
    def __init__(self, model: RobotModel, meshes: MeshStore) -> None:
        self.model, self.meshes = model, meshes
        self.lines: list[str] = []
        self.remarks: list[Remark] = []
        self.base = IDENTITY

    def document(self) -> CanonicalUrdf:
        self.add('<?xml version="1.0"?>')
        self.add(f"<robot name={quoteattr(self.model.name[:200] or 'robot')}>")
        for link in self.model.links:
            self.link(link)
        for joint in self.model.joints:
            self.joint(joint)
        self.add("</robot>")
        return CanonicalUrdf("\n".join(self.lines) + "\n", self.base, tuple(self.remarks))

    def add(self, line: str) -> None:
        assert len(line) < LONGEST_LINE, line[:100]
        self.lines.append(line)

    def link(self, link: Link) -> None:
        self.add(f"<link name={quoteattr(link.name)}>")
        if link.contact:
            self.add("<contact>")
            for name, value in link.contact.items():
                self.add(f'<{name} value="{value!r}"/>')
            self.add("</contact>")
        self.inertial(link)
        for number, shape in enumerate(link.collisions):
            self.shape("collision", link, shape, f"collision {number}")
        for number, shape in enumerate(link.visuals):
            try:
                self.shape("visual", link, shape, f"visual {number}")
            except RobotDescriptionError as error:
                what, why = "a visual mesh is not shown", str(error).rstrip(".")
                where, line = f"link '{link.name}'", shape.source.line
                self.remarks.append(Remark("visual-missing", where, what, why, line))
        self.add("</link>")

    def inertial(self, link: Link) -> None:
        inertial = link.inertial
        moments, frame = np.zeros(3), IDENTITY
        if inertial is not None:
            moments, axes = principal_frame(inertial.inertia)
            frame = Pose(inertial.center, axes)
        if link.name == self.model.root:
            self.base = frame
        self.add("<inertial>")
        self.origin(frame)
        self.add(f'<mass value="{link.mass!r}"/>')
        xx, yy, zz = moments.tolist()
        self.add(f'<inertia ixx="{xx!r}" ixy="0" ixz="0" iyy="{yy!r}" iyz="0" izz="{zz!r}"/>')
        self.add("</inertial>")

    def origin(self, pose: Pose) -> None:
        if pose is not IDENTITY:
            rpy = rpy_from_rotation(pose.rotation)
            self.add(f'<origin xyz="{_numbers(pose.position)}" rpy="{_numbers(rpy)}"/>')

    def shape(self, use: str, link: Link, shape: LinkShape, name: str) -> None:
        geometry = self.geometry(use, link, shape)
        mesh = shape.geometry
        is_concave = use == "collision" and isinstance(mesh, Mesh) and mesh.is_concave
        concave = ' concave="yes"' if is_concave else ""
        self.add(f'<{use} name="{name}"{concave}>')
        self.origin(shape.pose)
        self.add(f"<geometry>{geometry}</geometry>")
        if use == "visual" and shape.color is not None:
            color = _numbers(shape.color)
            self.add(f'<material name="m{len(self.lines)}"><color rgba="{color}"/></material>')
        self.add(f"</{use}>")

    def geometry(  # noqa: PLR0911
        self, use: str, link: Link, shape: LinkShape
    ) -> str:
        match shape.geometry:
            case Box(size=size):
                return f'<box size="{_numbers(size)}"/>'
            case Sphere(radius=radius):
                return f'<sphere radius="{radius!r}"/>'
            case Cylinder(radius=radius, length=length):
                return f'<cylinder radius="{radius!r}" length="{length!r}"/>'
            case Capsule(radius=radius, length=length):
                return f'<capsule radius="{radius!r}" length="{length!r}"/>'
            case Ellipsoid() as ellipsoid:
                return _mesh_element(self.meshes.ellipsoid(ellipsoid), (1.0, 1.0, 1.0))
            case Plane():
                self.check_plane(link)
                return '<plane normal="0 0 1"/>'
            case Mesh() as mesh:
                return _mesh_element(self.mesh(use, link, shape, mesh), mesh.scale)

    def mesh(self, use: str, link: Link, shape: LinkShape, mesh: Mesh) -> Path:
        try:
            return self.meshes.path(mesh)
        except RobotDescriptionError as error:
            line = f", line {shape.source.line}" if shape.source.line else ""
            raise RobotDescriptionError(
                f"robot description '{self.model.file}'{line}: link '{link.name}': the {use} "
                f"{error}"
            ) from error

    def check_plane(self, link: Link) -> None:
        if link.name != self.model.root or not self.model.is_fixed:
            raise RobotDescriptionError(
                f"robot description '{self.model.file}': link '{link.name}': a plane has no end, "
                "so it cannot move; use a box."
            )

    def joint(self, joint: Joint) -> None:
        is_endless = joint.kind is JointKind.REVOLUTE and not joint.has_limits
        kind = "continuous" if is_endless else joint.kind.value
        self.add(f'<joint name={quoteattr(joint.name)} type="{kind}">')
        self.add(f"<parent link={quoteattr(joint.parent)}/>")
        self.add(f"<child link={quoteattr(joint.child)}/>")
        self.origin(joint.origin)
        if joint.is_movable:
            self.add(f'<axis xyz="{_numbers(joint.axis)}"/>')
            self.limit(joint)
            self.add(f'<dynamics damping="{joint.damping!r}" friction="{joint.friction!r}"/>')
        if joint.mimic is not None:
            mimic = joint.mimic
            self.add(f"<mimic joint={quoteattr(mimic.joint)} "
                     f'multiplier="{mimic.multiplier!r}" offset="{mimic.offset!r}"/>')  # fmt: skip
        self.add("</joint>")
        for name, value in (("armature", joint.armature), ("spring", joint.stiffness)):
            if value:
                where = f"joint '{joint.name}'"
                self.remarks.append(Remark(f"{name}-missing", where, f"its {name} has no effect",
                                           "PyBullet knows none", joint.source.line))  # fmt: skip

    def limit(self, joint: Joint) -> None:
        lower, upper = joint.lower, joint.upper
        if math.isinf(lower) and math.isinf(upper):
            lower, upper = 1.0, -1.0  # To the engine no limits, of slides too.
        lower, upper = max(lower, -_NO_BOUND), min(upper, _NO_BOUND)
        effort, velocity = (0.0 if math.isinf(v) else v for v in (joint.effort, joint.velocity))
        self.add(f'<limit lower="{lower!r}" upper="{upper!r}" effort="{effort!r}" '
                 f'velocity="{velocity!r}"/>')  # fmt: skip


def _mesh_element(path: Path, scale: tuple[float, float, float]) -> str:
    return f'<mesh filename={quoteattr(str(path))} scale="{_numbers(scale)}"/>'


def _numbers(values: Floats | tuple[float, ...]) -> str:
    return " ".join(repr(float(value)) for value in values)
