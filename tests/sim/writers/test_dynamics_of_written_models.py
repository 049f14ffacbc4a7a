"""Motion, not only numbers: PyBullet's accelerations equal pinocchio's forward dynamics.

PyBullet has the canonical URDF without shapes and without damping, pinocchio the file itself.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pybullet
import pytest

import public_descriptions
from roboyard.errors import RobotDescriptionError
from roboyard.robots.normalization import Normalization, normalize
from roboyard.robots.readers.files import read_robot
from roboyard.sim.model import RobotModel
from roboyard.sim.writers.meshes import MeshStore
from roboyard.sim.writers.urdf import CanonicalUrdf, write_urdf

STEP = 1e-6
CHANGES_DYNAMICS = {"inertia-mended", "mass-lent", "massless", "joint-split", "floating-base"}


def bare(model: RobotModel) -> RobotModel:
    links = tuple(dataclasses.replace(link, collisions=(), visuals=()) for link in model.links)
    joints = tuple(dataclasses.replace(j, damping=0.0, friction=0.0) for j in model.joints)
    return dataclasses.replace(model, links=links, joints=joints)


def state_within_limits(model: RobotModel) -> dict[str, tuple[float, float]]:
    rng = np.random.default_rng(1)
    found = {}
    for joint in model.movable_joints:
        lower, upper = (joint.lower, joint.upper) if joint.has_limits else (-1.0, 1.0)
        middle, half = (lower + upper) / 2, min(upper - lower, 4.0) * 0.3
        found[joint.name] = (middle + float(rng.uniform(-half, half)), float(rng.uniform(-1, 1)))
    return found


def pinocchios(file: Path, model: RobotModel, state: dict[str, tuple[float, float]]):
    """Return torques [N m] and the accelerations that they cause [rad/s^2], by joint."""
    import pinocchio as pin

    base = () if model.is_fixed else (pin.JointModelFreeFlyer(),)
    theirs = pin.buildModelFromUrdf(str(file), *base)
    theirs.gravity.linear[:] = 0
    data, q, v = theirs.createData(), pin.neutral(theirs), np.zeros(theirs.nv)
    columns = {}
    for number, name in enumerate(theirs.names):
        joint = theirs.joints[number]
        if name in state:
            position, v[joint.idx_v] = state[name]
            wide = (math.cos(position), math.sin(position))
            q[joint.idx_q : joint.idx_q + joint.nq] = wide if joint.nq == 2 else position
            columns[name] = joint.idx_v
    inertias = np.diag(pin.crba(theirs, data, q))
    torques = np.zeros(theirs.nv)
    rng = np.random.default_rng(2)
    for column in columns.values():
        torques[column] = rng.uniform(-1, 1) * inertias[column]
    accelerations = pin.aba(theirs, data, q, v, torques)
    return ({name: torques[column] for name, column in columns.items()},
            {name: accelerations[column] for name, column in columns.items()})  # fmt: skip


def pybullets(
    written: CanonicalUrdf,
    model: RobotModel,
    state: dict[str, tuple[float, float]],
    torques: dict[str, float],
    folder: Path,
) -> dict[str, float]:
    """Return the accelerations of the joints [rad/s^2]."""
    file = folder / f"{len(list(folder.iterdir()))}.urdf"  # PyBullet keeps files by name.
    file.write_text(written.text)
    pybullet.resetSimulation()
    pybullet.setTimeStep(STEP)
    body = pybullet.loadURDF(str(file), useFixedBase=bool(model.is_fixed),
                             flags=pybullet.URDF_USE_INERTIA_FROM_FILE)  # fmt: skip
    numbers = {}
    for number in range(-1, pybullet.getNumJoints(body)):
        pybullet.changeDynamics(body, number, linearDamping=0, angularDamping=0)
        if number >= 0:
            numbers[pybullet.getJointInfo(body, number)[1].decode()] = number
    for name, (position, velocity) in state.items():
        pybullet.setJointMotorControl2(body, numbers[name], pybullet.VELOCITY_CONTROL, force=0)
        pybullet.resetJointState(body, numbers[name], position, velocity)
        pybullet.setJointMotorControl2(body, numbers[name], pybullet.TORQUE_CONTROL,
                                       force=torques[name])  # fmt: skip
    pybullet.stepSimulation()
    return {
        name: (pybullet.getJointState(body, numbers[name])[1] - velocity) / STEP
        for name, (_, velocity) in state.items()
    }


def test_twenty_robots_accelerate_as_pinocchio_says(tmp_path: Path) -> None:
    pytest.importorskip("pinocchio")
    client = pybullet.connect(pybullet.DIRECT)
    checked: dict[str, float] = {}
    try:
        for file in public_descriptions.files(".urdf", "<robot")[::2]:
            try:
                model = bare(normalize(read_robot(file), Normalization(max_links=128)))
            except RobotDescriptionError:
                continue
            codes = {remark.code for remark in model.remarks}
            if codes & CHANGES_DYNAMICS or not model.movable_joints:
                continue
            if any(joint.lower == joint.upper for joint in model.movable_joints):
                continue
            try:
                state = state_within_limits(model)
                torques, expected = pinocchios(file, model, state)
            except ValueError:
                continue  # Pinocchio refuses the file.
            written = write_urdf(model, MeshStore(tmp_path))
            found = pybullets(written, model, state, torques, tmp_path)
            largest = max(abs(value) for value in expected.values())
            apart = max(abs(found[name] - value) for name, value in expected.items())
            checked[file.stem] = apart / largest
    finally:
        pybullet.disconnect(client)
    assert len(checked) >= 20, checked
    assert max(checked.values()) < 1e-3, {k: v for k, v in checked.items() if v > 1e-3}
