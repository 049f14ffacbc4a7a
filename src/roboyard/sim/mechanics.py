"""Rotations, link frames, masses and inertias of a robot model, computed without an engine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from roboyard.sim.model import IDENTITY, Floats, Inertial, Joint, JointKind, Pose, RobotModel


def rotation_from_rpy(rpy: Sequence[float] | Floats) -> Floats:
    """Return the matrix of roll, pitch and yaw about fixed x, y and z [rad], shape (3, 3)."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    return np.array([
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ])  # fmt: skip


def rpy_from_rotation(rotation: Floats) -> tuple[float, float, float]:
    """Return roll, pitch and yaw [rad] of a rotation matrix."""
    horizontal = math.hypot(rotation[0, 0], rotation[1, 0])
    pitch = math.atan2(-rotation[2, 0], horizontal)
    if horizontal < 1e-9:  # Roll and yaw turn about one axis: roll takes it all.
        roll = math.atan2(-rotation[1, 2], rotation[1, 1])
        return roll, pitch, 0.0
    roll = math.atan2(rotation[2, 1], rotation[2, 2])
    return roll, pitch, math.atan2(rotation[1, 0], rotation[0, 0])


def rotation_from_quaternion(w: float, x: float, y: float, z: float) -> Floats:
    """Return the matrix of a quaternion of any length but 0, shape (3, 3)."""
    scale = 2.0 / (w * w + x * x + y * y + z * z)
    return np.array([
        [1 - scale * (y * y + z * z), scale * (x * y - w * z), scale * (x * z + w * y)],
        [scale * (x * y + w * z), 1 - scale * (x * x + z * z), scale * (y * z - w * x)],
        [scale * (x * z - w * y), scale * (y * z + w * x), 1 - scale * (x * x + y * y)],
    ])  # fmt: skip


def quaternion_from_rotation(rotation: Floats) -> Floats:
    """Return the quaternion (w, x, y, z) of a rotation matrix, w not negative."""
    m = rotation
    outer = np.array([
        [m[0, 0] + m[1, 1] + m[2, 2], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
        [0, m[0, 0] - m[1, 1] - m[2, 2], m[1, 0] + m[0, 1], m[0, 2] + m[2, 0]],
        [0, 0, m[1, 1] - m[0, 0] - m[2, 2], m[2, 1] + m[1, 2]],
        [0, 0, 0, m[2, 2] - m[0, 0] - m[1, 1]],
    ])  # fmt: skip
    found: Floats = np.linalg.eigh(outer.T)[1][:, -1]
    return found if found[0] >= 0 else -found


def rotation_about(axis: Floats, angle: float) -> Floats:
    """Return the matrix of a turn about a unit axis [rad], shape (3, 3)."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    turned: Floats = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    return turned


def joint_motion(joint: Joint, position: float) -> Pose:
    """Return the child's frame after a move from ``reference``, in the frame before it."""
    moved = position - joint.reference
    if joint.kind is JointKind.PRISMATIC:
        return Pose(joint.axis * moved, np.eye(3))
    turned = rotation_about(joint.axis, moved)
    return Pose(joint.anchor - turned @ joint.anchor, turned)


def link_poses(model: RobotModel, positions: Mapping[str, float]) -> dict[str, Pose]:
    """Return every link's frame in the root's frame.

    Args:
        model: Joints of one degree of freedom, or fixed.
        positions: Of joints [rad] or [m]; others are at their reference.
    """
    found = {model.root: IDENTITY}
    for joint in joints_from_root(model):
        pose = found[joint.parent] @ joint.origin
        position = positions.get(joint.name, joint.reference)
        if joint.is_movable and position != joint.reference:
            pose = pose @ joint_motion(joint, position)
        found[joint.child] = pose
    return found


def joints_from_root(model: RobotModel) -> list[Joint]:
    """Return the joints, each after the one that holds its parent, else in the file's order."""
    below: dict[str, list[Joint]] = {}
    for joint in model.joints:
        below.setdefault(joint.parent, []).append(joint)
    found: list[Joint] = []
    waiting = list(reversed(below.get(model.root, [])))
    while waiting:
        joint = waiting.pop()
        found.append(joint)
        waiting += reversed(below.get(joint.child, []))
    return found


def children_of(model: RobotModel) -> dict[str, list[Joint]]:
    """Return for each link the joints that hold others to it."""
    found: dict[str, list[Joint]] = {link.name: [] for link in model.links}
    for joint in model.joints:
        found[joint.parent].append(joint)
    return found


def moved_inertial(inertial: Inertial, pose: Pose) -> Inertial:
    """Return an inertial, given in the frame at ``pose``, in the frame that holds it."""
    rotation = pose.rotation
    center = pose.position + rotation @ inertial.center
    return Inertial(inertial.mass, center, rotation @ inertial.inertia @ rotation.T)


def joined_inertial(parts: Iterable[Inertial]) -> Inertial:
    """Return the inertial of several rigidly joined parts, all given in one frame."""
    kept = [part for part in parts if part.mass > 0 or part.inertia.any()]
    mass = sum(part.mass for part in kept)
    if not mass > 0:
        return Inertial(0.0, np.zeros(3), sum((part.inertia for part in kept), np.zeros((3, 3))))
    center = np.asarray(sum(part.mass * part.center for part in kept) / mass)
    inertia = np.zeros((3, 3))
    for part in kept:
        offset = part.center - center
        inertia += part.inertia + part.mass * (
            offset @ offset * np.eye(3) - np.outer(offset, offset)
        )
    return Inertial(mass, center, inertia)


def whole_inertial(model: RobotModel, positions: Mapping[str, float]) -> Inertial:
    """Return mass, centre and inertia of the whole robot in the root's frame."""
    poses = link_poses(model, positions)
    return joined_inertial(
        moved_inertial(link.inertial, poses[link.name]) for link in model.links if link.inertial
    )
