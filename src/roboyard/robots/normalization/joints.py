"""Joints: unit axes, references, and those of several degrees of freedom as chains of one."""

from __future__ import annotations

import dataclasses
from math import inf

import numpy as np

from roboyard.errors import RobotDescriptionError
from roboyard.registry import suggest
from roboyard.sim.mechanics import joint_motion
from roboyard.sim.model import Floats, Joint, JointKind, Link, Mimic, Pose, Remark, RobotModel

_SMALLEST_AXIS = 1e-6
_UNIT = 1e-5
_FULL_TURN = 6.4
SINGLE = (JointKind.REVOLUTE, JointKind.PRISMATIC)


def with_unit_axes(model: RobotModel) -> RobotModel:
    """Return the model with axes of length 1.

    Raises:
        RobotDescriptionError: An axis has no direction.
    """
    remarks: list[Remark] = []
    joints = []
    for joint in model.joints:
        length = float(np.linalg.norm(joint.axis))
        if joint.kind in (*SINGLE, JointKind.PLANAR):
            if length < _SMALLEST_AXIS:
                raise _wrong(model, joint, f"its axis has length {length:g}; give it a direction, "
                             "such as xyz=\"0 0 1\".")  # fmt: skip
            if abs(length - 1) > _UNIT:
                remarks.append(Remark("axis-normalised", f"joint '{joint.name}'",
                                      "its axis has length 1", f"it has {length:.4g} in the file",
                                      joint.source.line))  # fmt: skip
            joint = dataclasses.replace(joint, axis=joint.axis / length)  # noqa: PLW2901
        joints.append(joint)
    return model.replace(tuple(remarks), joints=tuple(joints))


def with_limit_remarks(model: RobotModel) -> RobotModel:
    """Return the model with remarks on limits that look wrong; none is changed."""
    remarks = []
    for joint in model.joints:
        where, line = f"joint '{joint.name}'", joint.source.line
        if joint.kind not in SINGLE or not joint.has_limits:
            continue
        if joint.lower == joint.upper:
            remarks.append(Remark("range-zero", where, f"it is locked at {joint.lower:g}",
                                  "both limits are equal", line))  # fmt: skip
        largest = max(abs(joint.lower), abs(joint.upper))
        if joint.kind is JointKind.REVOLUTE and largest > 4 * _FULL_TURN and not largest % 5:
            remarks.append(Remark("limits-in-degrees", where, "its limits count as radians",
                                  f"[{joint.lower:g}, {joint.upper:g}] look like degrees",
                                  line))  # fmt: skip
    return model.replace(tuple(remarks))


def with_references_at_zero(model: RobotModel) -> RobotModel:
    """Return the model in which every joint's origin is where its position is 0."""
    joints = []
    for joint in model.joints:
        if joint.reference and joint.kind in SINGLE:
            origin = joint.origin @ joint_motion(joint, 0.0)
            joint = dataclasses.replace(joint, origin=origin, reference=0.0)  # noqa: PLW2901
        joints.append(joint)
    return model.replace(joints=tuple(joints))


def with_anchored_frames(model: RobotModel) -> RobotModel:
    """Return the model in which every axis passes through its child's origin.

    Where it does not, a frame without mass is put on the axis, and the link fixed to it.
    """
    links, joints = list(model.links), []
    names = _Names(model)
    for joint in model.joints:
        if not joint.is_movable or not np.abs(joint.anchor).max() > 1e-12:
            joints.append(joint)
            continue
        middle = names.new(f"{joint.child}_{joint.name}_axis")
        origin = joint.origin @ Pose(joint.anchor, np.eye(3))
        links.append(Link(middle, source=joint.source))
        joints.append(dataclasses.replace(joint, child=middle, origin=origin, anchor=np.zeros(3)))
        back = Pose(-joint.anchor, np.eye(3))
        fixed = names.new(f"{joint.name}_offset")
        joints.append(Joint(fixed, JointKind.FIXED, middle, joint.child, back, source=joint.source))
    return model.replace(links=tuple(links), joints=tuple(joints))


def with_free_base(model: RobotModel) -> RobotModel:
    """Return the model without a root that only says that the robot floats in the world."""
    held = [joint for joint in model.joints if joint.parent == model.root]
    root = model.link(model.root)
    is_mere_frame = root.mass == 0 and not root.collisions and not root.visuals
    if len(held) != 1 or held[0].kind is not JointKind.FLOATING or not is_mere_frame:
        return model
    joint = held[0]
    remark = Remark("floating-base", f"joint '{joint.name}'", f"the base is '{joint.child}', free",
                    f"it floats in '{root.name}' without mass", joint.source.line)  # fmt: skip
    return model.replace(
        (remark,),
        links=tuple(link for link in model.links if link is not root),
        joints=tuple(other for other in model.joints if other is not joint),
        root=joint.child,
        is_fixed=False,
        pose=model.pose @ joint.origin,
    )


def with_single_joints(model: RobotModel) -> RobotModel:
    """Return the model with planar, spherical and floating joints as chains of single ones."""
    links, joints, remarks = list(model.links), [], []
    names = _Names(model)
    for joint in model.joints:
        if joint.kind in (*SINGLE, JointKind.FIXED):
            joints.append(joint)
            continue
        chain = _chain(joint, names)
        links += [Link(part.child, source=joint.source) for part in chain[:-1]]
        joints += chain
        remarks.append(Remark(
            "joint-split", f"joint '{joint.name}'",
            f"it is simulated as {', '.join(part.name for part in chain)}",
            f"each joint has one degree of freedom, and this is {joint.kind.value}",
            joint.source.line,
        ))  # fmt: skip
    return model.replace(tuple(remarks), links=tuple(links), joints=tuple(joints))


def _chain(joint: Joint, names: _Names) -> list[Joint]:
    steps = _steps(joint)
    children = [names.new(f"{joint.name}_{suffix}_frame") for suffix, _, _ in steps[:-1]]
    ends = [joint.parent, *children, joint.child]
    slides = JointKind.PRISMATIC
    return [
        dataclasses.replace(
            joint,
            name=names.new(f"{joint.name}_{suffix}"),
            kind=kind,
            parent=ends[number],
            child=ends[number + 1],
            origin=joint.origin if number == 0 else Pose(np.zeros(3), np.eye(3)),
            axis=axis,
            anchor=np.zeros(3) if kind is slides else joint.anchor,
            lower=-inf,
            upper=inf,
            mimic=None,
        )
        for number, (suffix, kind, axis) in enumerate(steps)
    ]


def _steps(joint: Joint) -> list[tuple[str, JointKind, Floats]]:
    turn, slide = JointKind.REVOLUTE, JointKind.PRISMATIC
    x, y, z = np.eye(3)
    turns = [("turn_x", turn, x), ("turn_y", turn, y), ("turn_z", turn, z)]
    if joint.kind is JointKind.SPHERICAL:
        return turns
    if joint.kind is JointKind.FLOATING:
        return [("x", slide, x), ("y", slide, y), ("z", slide, z), *turns]
    first = x if abs(joint.axis[0]) < 0.9 else y
    first = first - joint.axis * (first @ joint.axis)
    first /= np.linalg.norm(first)
    return [("slide_1", slide, first), ("slide_2", slide, np.cross(joint.axis, first)),
            ("turn", turn, joint.axis)]  # fmt: skip


def with_mimics_resolved(model: RobotModel) -> RobotModel:
    """Return the model in which a mimic joint follows one that follows none.

    Raises:
        RobotDescriptionError: A joint follows one that does not exist, is fixed, or follows it.
    """
    by_name = {joint.name: joint for joint in model.joints}
    joints = tuple(
        dataclasses.replace(joint, mimic=_resolved(model, joint, by_name)) if joint.mimic else joint
        for joint in model.joints
    )
    return model.replace(joints=joints)


def _resolved(model: RobotModel, joint: Joint, by_name: dict[str, Joint]) -> Mimic | None:
    if joint.kind not in SINGLE:
        return None
    multiplier, offset, seen, name = 1.0, 0.0, {joint.name}, joint.name
    while (mimic := by_name[name].mimic) is not None:
        target = by_name.get(mimic.joint)
        if target is None or target.kind not in SINGLE:
            movable = [other.name for other in by_name.values() if other.kind in SINGLE]
            raise _wrong(model, joint, f"it mimics '{mimic.joint}', which is no joint that moves."
                         f"{suggest(mimic.joint, movable)}")  # fmt: skip
        if mimic.joint in seen:
            raise _wrong(model, joint, "joints that mimic each other form a ring.")
        offset += multiplier * mimic.offset
        multiplier *= mimic.multiplier
        seen.add(mimic.joint)
        name = mimic.joint
    return Mimic(name, multiplier, offset)


class _Names:
    """Makes names that no link or joint has."""

    def __init__(self, model: RobotModel) -> None:
        self._taken = {part.name for part in model.links} | {joint.name for joint in model.joints}

    def new(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


def _wrong(model: RobotModel, joint: Joint, what: str) -> RobotDescriptionError:
    line = f", line {joint.source.line}" if joint.source.line else ""
    return RobotDescriptionError(
        f"robot description '{model.file}'{line}: joint '{joint.name}': {what}"
    )
