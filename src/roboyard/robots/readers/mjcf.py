"""MJCF, read by MuJoCo itself: classes, defaults, includes and angles are resolved by its compiler.

What it compiles is taken as it stands: masses, inertias, frames, ranges. Everything that the model
of a robot has no place for is named in the remarks.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from roboyard.errors import RobotDescriptionError
from roboyard.optional import require
from roboyard.robots.readers import mujoco_arrays as arrays
from roboyard.robots.readers.mjcf_repairs import repaired
from roboyard.robots.readers.xml import XmlNode, read_xml
from roboyard.sim.mechanics import rotation_from_quaternion
from roboyard.sim.model import (
    Box,
    Capsule,
    Cylinder,
    DescribedActuator,
    DescribedSensor,
    Ellipsoid,
    FileLine,
    Geometry,
    Inertial,
    Joint,
    JointKind,
    Link,
    LinkShape,
    Mesh,
    Mimic,
    Plane,
    Pose,
    Remark,
    RobotModel,
    Sphere,
)

if TYPE_CHECKING:
    import mujoco

WORLD = "world"
_FREE, _BALL, _SLIDE, _HINGE = range(4)
_KINDS = {
    _FREE: JointKind.FLOATING,
    _BALL: JointKind.SPHERICAL,
    _SLIDE: JointKind.PRISMATIC,
    _HINGE: JointKind.REVOLUTE,
}
_LAST_SEEN_GROUP = 2
_IGNORED = {
    "ntendon": "tendons", "nkey": "keyframes", "npair": "contact pairs", "nexclude": "contact "
    "exclusions", "nflex": "flexible bodies", "nhfield": "height fields", "nplugin": "plugins",
}  # fmt: skip


def read_mjcf(file: Path) -> tuple[RobotModel, ...]:
    """Read an MJCF file and return its robots: one for each body in the world.

    Raises:
        RobotDescriptionError: MuJoCo refuses it; the message has MuJoCo's reason.
        MissingDependencyError: MuJoCo is not installed.
    """
    root = read_xml(file).root
    if root.tag == "mujocoinclude":
        raise RobotDescriptionError(
            f"robot description '{file}' is a part of MJCF (<mujocoinclude>): give the file that "
            "includes it."
        )
    if root.tag != "mujoco":
        raise RobotDescriptionError(
            f"robot description '{file}' is not MJCF: its root element is <{root.tag}>, not "
            "<mujoco>."
        )
    spec, model, remarks = _compiled(file)
    return tuple(robot.replace(remarks) for robot in robots_of(spec, model, file, root))


def _compiled(file: Path) -> tuple[mujoco.MjSpec, mujoco.MjModel, tuple[Remark, ...]]:
    engine = require("mujoco", "mujoco")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of MJCF's own history.
            try:
                return *_parsed(engine, file), ()
            except ValueError:
                mended = repaired(file)
                if mended is None:
                    raise
                return *_parsed(engine, file, mended.text), mended.remarks
    except (ValueError, RuntimeError, engine.FatalError) as error:
        reason = " ".join(str(error).split())
        raise RobotDescriptionError(
            f"robot description '{file}': MuJoCo refuses it: {reason}"
        ) from error


def _parsed(
    engine: ModuleType, file: Path, text: str | None = None
) -> tuple[mujoco.MjSpec, mujoco.MjModel]:
    spec = engine.MjSpec.from_file(str(file)) if text is None else engine.MjSpec.from_string(text)
    spec.modelfiledir = str(file.parent)
    spec.compiler.fusestatic = False
    spec.compiler.discardvisual = False
    return spec, spec.compile()


def robots_of(
    spec: mujoco.MjSpec, model: mujoco.MjModel, file: Path, root: XmlNode
) -> tuple[RobotModel, ...]:
    """Return the robots of a compiled MJCF model.

    Raises:
        RobotDescriptionError: It has no body.
    """
    reader = _MjcfReader(spec, model, file, root)
    tops = [body for body in range(1, model.nbody) if model.body_parentid[body] == 0]
    if not tops:
        raise RobotDescriptionError(
            f"robot description '{file}' has no body: put one into <worldbody>."
        )
    return tuple(reader.robot(body) for body in tops)


class _MjcfReader:
    def __init__(
        self, spec: mujoco.MjSpec, model: mujoco.MjModel, file: Path, root: XmlNode
    ) -> None:
        self.spec, self.compiled, self.file = spec, model, file
        self.title = root.get("model") or file.stem
        self.bodies = [model.body(i).name or f"body{i}" for i in range(model.nbody)]
        self.joint_names = [
            model.joint(i).name or f"{self.bodies[model.jnt_bodyid[i]]}_joint{i}"
            for i in range(model.njnt)
        ]
        self.lines = {
            (kind, element.name): arrays.line(element.info)
            for kind, elements in (("body", spec.bodies), ("joint", spec.joints))
            for element in elements
            if element.name
        }
        self.mimics = self._mimics()
        self.efforts = self._efforts()

    def source(self, kind: str, name: str) -> FileLine:
        return FileLine(str(self.file), self.lines.get((kind, name), 0))

    def robot(self, top: int) -> RobotModel:
        model = self.compiled
        inside = self._below(top)
        links, joints = [], []
        has_free = model.body_jntnum[top] == 1 and model.jnt_type[model.body_jntadr[top]] == _FREE
        is_jointed = model.body_jntnum[top] > 0 and not has_free
        pose = arrays.pose(model.body_pos[top], model.body_quat[top])
        if is_jointed:
            links.append(Link(WORLD if WORLD not in self.bodies[1:] else "mjcf_world"))
        for body in inside:
            if body != top or is_jointed:
                holder = self.bodies[model.body_parentid[body]]
                frames, held = self._joints(body, links[0].name if body == top else holder)
                links += frames
                joints += held
            links.append(self._link(body))
        return RobotModel(
            self.title if self._is_alone() else self.bodies[top],
            tuple(links),
            tuple(joints),
            root=links[0].name,
            is_fixed=not has_free,
            pose=Pose(np.zeros(3), np.eye(3)) if is_jointed else pose,
            sensors=self._sensors(set(inside)),
            actuators=self._actuators({joint.name for joint in joints}),
            remarks=self._remarks(),
            file=str(self.file),
        )

    def _is_alone(self) -> bool:
        return sum(int(parent) == 0 for parent in self.compiled.body_parentid[1:]) == 1

    def _below(self, top: int) -> list[int]:
        """Return a body and those that it carries; MuJoCo numbers children after parents."""
        found = [top]
        inside = {top}
        for body in range(top + 1, self.compiled.nbody):
            if int(self.compiled.body_parentid[body]) in inside:
                inside.add(body)
                found.append(body)
        return found

    def _link(self, body: int) -> Link:
        model, name = self.compiled, self.bodies[body]
        mass = float(model.body_mass[body])
        inertial = None
        if mass > 0 or model.body_inertia[body].any():
            turned = rotation_from_quaternion(*model.body_iquat[body].tolist())
            moments = np.diag(model.body_inertia[body].astype(np.float64))
            center = model.body_ipos[body].astype(np.float64)
            inertial = Inertial(mass, center, turned @ moments @ turned.T)
        collisions, visuals = [], []
        first = int(model.body_geomadr[body])
        for geom in range(first, first + int(model.body_geomnum[body])):
            shape = self._shape(geom)
            if shape is None:
                continue
            if model.geom_contype[geom] or model.geom_conaffinity[geom]:
                collisions.append(shape)
            if model.geom_group[geom] <= _LAST_SEEN_GROUP:
                visuals.append(shape)
        frictions = [shape.friction for shape in collisions if shape.friction is not None]
        contact = {"lateral_friction": max(frictions)} if frictions else {}
        return Link(
            name, inertial, tuple(collisions), tuple(visuals), contact, self.source("body", name)
        )

    def _shape(self, geom: int) -> LinkShape | None:
        model = self.compiled
        geometry = self._geometry(geom)
        if geometry is None:
            return None
        red, green, blue, alpha = np.clip(model.geom_rgba[geom], 0.0, 1.0).tolist()
        return LinkShape(
            geometry,
            arrays.pose(model.geom_pos[geom], model.geom_quat[geom]),
            model.geom(geom).name,
            (red, green, blue, alpha),
            float(model.geom_friction[geom][0]),
        )

    def _geometry(self, geom: int) -> Geometry | None:
        model = self.compiled
        kind = int(model.geom_type[geom])
        a, b, c = model.geom_size[geom].tolist()
        simple: dict[int, Geometry] = {
            0: Plane(),
            2: Sphere(a),
            3: Capsule(a, 2 * b),
            4: Ellipsoid((a, b, c)),
            5: Cylinder(a, 2 * b),
            6: Box((2 * a, 2 * b, 2 * c)),
        }
        if kind in simple:
            return simple[kind]
        mesh = int(model.geom_dataid[geom])
        if kind not in (7, 8) or mesh < 0:
            return None
        vertices = arrays.rows(model.mesh_vert, model.mesh_vertadr, model.mesh_vertnum, mesh)
        faces = arrays.rows(model.mesh_face, model.mesh_faceadr, model.mesh_facenum, mesh)
        name = model.mesh(mesh).name
        return Mesh(name, vertices=vertices.astype(np.float64), faces=faces.astype(np.int64))

    def _joints(self, body: int, parent: str) -> tuple[list[Link], list[Joint]]:
        """Return the joints of a body, and a frame between each two of them."""
        model, name = self.compiled, self.bodies[body]
        first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
        origin = arrays.pose(model.body_pos[body], model.body_quat[body])
        if not count:
            held = Joint(f"{name}_fixed", JointKind.FIXED, parent, name, origin,
                         source=self.source("body", name))  # fmt: skip
            return [], [held]
        frames: list[Link] = []
        joints: list[Joint] = []
        for joint in range(first, first + count):
            is_last = joint == first + count - 1
            child = name if is_last else f"{name}_{self.joint_names[joint]}_frame"
            joints.append(self._joint(joint, parent, child, origin))
            if not is_last:
                frames.append(Link(child))
            parent, origin = child, Pose(np.zeros(3), np.eye(3))
        return frames, joints

    def _joint(self, joint: int, parent: str, child: str, origin: Pose) -> Joint:
        model, name = self.compiled, self.joint_names[joint]
        dof, position = int(model.jnt_dofadr[joint]), int(model.jnt_qposadr[joint])
        kind = _KINDS[int(model.jnt_type[joint])]
        is_single = kind in (JointKind.REVOLUTE, JointKind.PRISMATIC)
        is_limited = is_single and bool(model.jnt_limited[joint])
        lower, upper = model.jnt_range[joint].tolist() if is_limited else (-math.inf, math.inf)
        return Joint(
            name,
            kind,
            parent,
            child,
            origin,
            model.jnt_axis[joint].astype(np.float64),
            model.jnt_pos[joint].astype(np.float64),
            lower,
            upper,
            self.efforts.get(joint, math.inf),
            damping=float(model.dof_damping[dof]),
            friction=float(model.dof_frictionloss[dof]),
            armature=float(model.dof_armature[dof]),
            stiffness=float(model.jnt_stiffness[joint]),
            spring_reference=float(model.qpos_spring[position]) if is_single else 0.0,
            reference=float(model.qpos0[position]) if is_single else 0.0,
            is_endless=is_single and not is_limited,
            mimic=self.mimics.get(joint),
            source=self.source("joint", name),
        )

    def _mimics(self) -> dict[int, Mimic]:
        """Return the joints that an equality makes follow another, with constant gear."""
        model, found = self.compiled, {}
        for number in range(model.neq):
            first, second = int(model.eq_obj1id[number]), int(model.eq_obj2id[number])
            if int(model.eq_type[number]) != 2 or second < 0:
                continue
            offset, gear, *rest = model.eq_data[number][:5].tolist()
            if any(rest):
                continue
            start, other = (float(model.qpos0[model.jnt_qposadr[j]]) for j in (first, second))
            found[first] = Mimic(self.joint_names[second], gear, offset + start - gear * other)
        return found

    def _efforts(self) -> dict[int, float]:
        """Return how strong the drives of joints are at most [N m] or [N]."""
        model, found = self.compiled, {}
        for joint in range(model.njnt):
            drives = [a for a in range(model.nu) if model.actuator_trnid[a][0] == joint
                      and int(model.actuator_trntype[a]) in (0, 1)]  # fmt: skip
            strengths = [arrays.strength(model, actuator) for actuator in drives]
            limit = sum(strengths) if strengths else math.inf
            if model.jnt_actfrclimited[joint]:
                limit = min(limit, float(np.abs(model.jnt_actfrcrange[joint]).max()))
            if 0 < limit < math.inf:
                found[joint] = limit
        return found

    def _actuators(self, joints: set[str]) -> tuple[DescribedActuator, ...]:
        model, found = self.compiled, []
        for number in range(model.nu):
            kind, target = int(model.actuator_trntype[number]), int(model.actuator_trnid[number][0])
            name = self.joint_names[target] if kind in (0, 1) else f"number {target}"
            if kind in (0, 1) and name not in joints:
                continue
            found.append(DescribedActuator(
                model.actuator(number).name, "joint" if kind in (0, 1) else "other", name,
                float(model.actuator_gear[number][0]),
                arrays.pair(model.actuator_ctrlrange, model.actuator_ctrllimited, number),
                arrays.pair(model.actuator_forcerange, model.actuator_forcelimited, number),
            ))  # fmt: skip
        return tuple(found)

    def _sensors(self, inside: set[int]) -> tuple[DescribedSensor, ...]:
        model, found = self.compiled, []
        for number in range(model.nsensor):
            kind = model.sensor(number)
            site = int(model.sensor_objid[number])
            is_site = int(model.sensor_objtype[number]) == 6 and 0 <= site < model.nsite
            body = int(model.site_bodyid[site]) if is_site else -1
            if is_site and body not in inside:
                continue
            link = self.bodies[body] if is_site else ""
            pose = arrays.pose(model.site_pos[site], model.site_quat[site]) if is_site else Pose(
                np.zeros(3), np.eye(3))  # fmt: skip
            found.append(DescribedSensor(kind.name, f"type {int(kind.type[0])}", link, pose))
        return tuple(found)

    def _remarks(self) -> tuple[Remark, ...]:
        model = self.compiled
        why = "they have no part in the simulation"
        counts: Mapping[str, int] = {
            name: int(getattr(model, size, 0)) for size, name in _IGNORED.items()
        } | {
            "equalities other than of two joints": int(model.neq) - len(self.mimics),
            "drives of tendons, sites or bodies": sum(int(t) > 1 for t in model.actuator_trntype),
            "shapes of the world itself": int(model.body_geomnum[0]),
            "springs": int(np.count_nonzero(model.jnt_stiffness)),
        }
        return tuple(
            Remark("ignored", name, f"{count} not used", why)
            for name, count in counts.items()
            if count
        )
