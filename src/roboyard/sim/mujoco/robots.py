"""Robot models as parts: every link a body of the engine, every movable joint with a motor.

A link without mass between joints gets next to none, which the engine wants of what moves; the
masses that it carries outweigh it by far. Motors are idle until one is commanded.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import numpy as np

from roboyard.errors import RobotDescriptionError
from roboyard.sim.bodies import JointInfo
from roboyard.sim.descriptions import RobotDescription, SelfCollision
from roboyard.sim.mechanics import joints_from_root, quaternion_from_rotation
from roboyard.sim.model import (
    Box,
    Capsule,
    Cylinder,
    Ellipsoid,
    Inertial,
    Joint,
    JointKind,
    Link,
    LinkShape,
    Mesh,
    Plane,
    RobotModel,
    Sphere,
)
from roboyard.sim.mujoco.engine import mujoco
from roboyard.sim.mujoco.parts import (
    BODY_PRIORITY,
    DEFAULT_FRICTION,
    FELT,
    SEEN,
    BodyPart,
    part_name,
    to_engine,
    touching,
)
from roboyard.sim.rows import BASE
from roboyard.sim.settings import Quaternion, Vector
from roboyard.sim.writers.meshes import MeshStore
from roboyard.sim.writers.urdf import principal_frame

_LOG = logging.getLogger(__name__)
_NEXT_TO_NOTHING = Inertial(1e-9, np.zeros(3), np.eye(3) * 1e-12)
_NARROW = 1e-6
_TYPES = {JointKind.REVOLUTE: "mjJNT_HINGE", JointKind.PRISMATIC: "mjJNT_SLIDE"}


def robot_part(
    description: RobotDescription, model: RobotModel, position: Vector, orientation: Quaternion
) -> BodyPart:
    """Return a robot.

    Raises:
        RobotDescriptionError: The engine cannot have this robot.
    """
    _check(description, model)
    is_fixed = description.fixed_base if model.is_fixed is None else model.is_fixed
    joints = joints_from_root(model)
    numbers = {joint.child: number for number, joint in enumerate(joints)}
    infos = tuple(_info(number, joint, numbers) for number, joint in enumerate(joints))
    builder = _Builder(model, joints, numbers, description.self_collision)
    place = (list(position), to_engine(orientation))
    return BodyPart(model.root, infos, not is_fixed, partial(builder.add, place, not is_fixed))


def _check(description: RobotDescription, model: RobotModel) -> None:
    if description.scale != 1.0:
        raise RobotDescriptionError(
            f"robot description '{description.file}': scale is {description.scale:g}, but MuJoCo "
            "worlds take robots at scale 1: scale the file."
        )
    for joint in model.joints:
        if joint.is_movable and joint.kind not in _TYPES:
            raise RobotDescriptionError(
                f"robot description '{description.file}': joint '{joint.name}' is "
                f"{joint.kind.value}, but allowed are revolute, continuous, prismatic and fixed."
            )


def _info(number: int, joint: Joint, numbers: dict[str, int]) -> JointInfo:
    limits = (joint.lower, joint.upper) if joint.has_limits else (0.0, -1.0)
    x, y, z = joint.axis.tolist()
    return JointInfo(
        index=number,
        name=joint.name,
        link=joint.child,
        kind=joint.kind.value,
        lower=limits[0],
        upper=limits[1],
        max_force=joint.effort if np.isfinite(joint.effort) else 0.0,
        max_velocity=joint.velocity if np.isfinite(joint.velocity) else 0.0,
        damping=joint.damping,
        friction=joint.friction,
        axis=(x, y, z),
        parent=numbers.get(joint.parent, BASE),
    )


class _Builder:
    def __init__(
        self,
        model: RobotModel,
        joints: list[Joint],
        numbers: dict[str, int],
        collision: SelfCollision,
    ) -> None:
        self.model, self.joints, self.numbers = model, joints, numbers
        self.collision = collision
        self.meshes = MeshStore()
        self.links = {link.name: link for link in model.links}

    def add(self, place: tuple[list[float], list[float]], is_free: bool, spec: Any, n: int) -> None:  # noqa: ANN401
        base = spec.worldbody.add_body(name=part_name(n), pos=place[0], quat=place[1])
        if is_free:
            base.add_freejoint(name=part_name(n))
        bodies = {self.model.root: base}
        self.fill(spec, n, base, self.links[self.model.root], is_free)
        moving = {self.model.root: is_free}
        for number, joint in enumerate(self.joints):
            quaternion = quaternion_from_rotation(joint.origin.rotation)
            body = bodies[joint.parent].add_body(
                name=part_name(n, number), pos=joint.origin.position, quat=quaternion
            )
            bodies[joint.child] = body
            moving[joint.child] = joint.is_movable or moving[joint.parent]
            if joint.is_movable:
                self.hold(spec, body, part_name(n, number), joint)
            self.fill(spec, n, body, self.links[joint.child], moving[joint.child])
        self.exclude(spec, n, moving)
        for number, joint in enumerate(self.joints):
            self.couple(spec, n, number, joint)

    def fill(self, spec: Any, n: int, body: Any, link: Link, moves: bool) -> None:  # noqa: ANN401
        inertial = link.inertial if link.mass > 0 else None
        if inertial is None and moves:
            inertial = _NEXT_TO_NOTHING
        if inertial is not None:
            moments, axes = principal_frame(inertial.inertia)
            body.mass, body.ipos, body.inertia = inertial.mass, inertial.center, moments
            body.iquat = quaternion_from_rotation(axes)
        body.explicitinertial = True
        bits = touching(n, itself=self.collision != "none")
        friction = link.contact.get("lateral_friction", DEFAULT_FRICTION)
        for shape in link.collisions:
            sliding = friction if shape.friction is None else shape.friction
            self.shape(spec, body, shape, group=FELT, friction=[sliding, 0.0, 0.0],
                       priority=BODY_PRIORITY, **bits)  # fmt: skip
        for shape in link.visuals:
            self.shape(spec, body, shape, group=SEEN, contype=0, conaffinity=0)
        if not link.visuals:
            for shape in link.collisions:
                self.shape(spec, body, shape, group=SEEN, contype=0, conaffinity=0)

    def hold(self, spec: Any, body: Any, name: str, joint: Joint) -> None:  # noqa: ANN401
        upper = max(joint.upper, joint.lower + _NARROW)  # It would let a locked joint go.
        limits = {"limited": 1, "range": [joint.lower, upper]} if joint.has_limits else {}
        body.add_joint(
            name=name, type=getattr(mujoco.mjtJoint, _TYPES[joint.kind]), axis=joint.axis,
            pos=joint.anchor, ref=joint.reference, damping=[joint.damping, 0, 0],
            frictionloss=joint.friction, armature=joint.armature,
            stiffness=[joint.stiffness, 0, 0], springref=joint.spring_reference, **limits,
        )  # fmt: skip
        spec.add_actuator(
            name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT,
            gaintype=mujoco.mjtGain.mjGAIN_FIXED, biastype=mujoco.mjtBias.mjBIAS_AFFINE,
            gainprm=[1.0] + [0.0] * 9, biasprm=[0.0] * 10,
        )  # fmt: skip

    def couple(self, spec: Any, n: int, number: int, joint: Joint) -> None:  # noqa: ANN401
        mimic = joint.mimic
        if mimic is None:
            return
        leader = next(i for i, other in enumerate(self.joints) if other.name == mimic.joint)
        spec.add_equality(
            type=mujoco.mjtEq.mjEQ_JOINT, name1=part_name(n, number), name2=part_name(n, leader),
            objtype=mujoco.mjtObj.mjOBJ_JOINT,
            data=[mimic.offset, mimic.multiplier] + [0.0] * 10,
        )  # fmt: skip

    def exclude(self, spec: Any, n: int, moving: dict[str, bool]) -> None:  # noqa: ANN401
        """Keep links from touching those above them, where the engine would not by itself."""
        if self.collision == "none":
            return
        parents = {joint.child: joint.parent for joint in self.joints}
        for joint in self.joints:
            above = joint.parent
            while True:
                if self.collision == "exclude_all_parents" or above == joint.parent:
                    spec.add_exclude(bodyname1=part_name(n, self.numbers.get(above, BASE)),
                                     bodyname2=part_name(n, self.numbers[joint.child]))  # fmt: skip
                if above not in parents:
                    break
                above = parents[above]

    def shape(self, spec: Any, body: Any, shape: LinkShape, **words: Any) -> None:  # noqa: ANN401
        if isinstance(shape.geometry, Mesh) and shape.geometry.is_concave and words["contype"]:
            _LOG.warning("robot '%s': the concave mesh '%s' touches as its convex hull in MuJoCo.",
                         self.model.name, shape.geometry.file)  # fmt: skip
        if shape.color is not None:
            words["rgba"] = list(shape.color)
        body.add_geom(
            mass=0.0, pos=shape.pose.position, quat=quaternion_from_rotation(shape.pose.rotation),
            **self.measures(spec, shape), **words,
        )  # fmt: skip

    def measures(self, spec: Any, shape: LinkShape) -> dict[str, object]:  # noqa: ANN401, PLR0911
        kinds = mujoco.mjtGeom
        match shape.geometry:
            case Box(size=(x, y, z)):
                return {"type": kinds.mjGEOM_BOX, "size": [x / 2, y / 2, z / 2]}
            case Sphere(radius=radius):
                return {"type": kinds.mjGEOM_SPHERE, "size": [radius, 0, 0]}
            case Cylinder(radius=radius, length=length):
                return {"type": kinds.mjGEOM_CYLINDER, "size": [radius, length / 2, 0]}
            case Capsule(radius=radius, length=length):
                return {"type": kinds.mjGEOM_CAPSULE, "size": [radius, length / 2, 0]}
            case Ellipsoid(radii=radii):
                return {"type": kinds.mjGEOM_ELLIPSOID, "size": list(radii)}
            case Plane():
                return {"type": kinds.mjGEOM_PLANE, "size": [0, 0, 1]}
            case Mesh() as mesh:
                return {"type": kinds.mjGEOM_MESH, "meshname": self.mesh(spec, mesh)}

    def mesh(self, spec: Any, mesh: Mesh) -> str:  # noqa: ANN401
        file = str(self.meshes.path(mesh))
        name = f"{file}*{mesh.scale}"
        if all(known.name != name for known in spec.meshes):
            spec.add_mesh(name=name, file=file, scale=list(mesh.scale),
                          inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)  # fmt: skip
        return name
