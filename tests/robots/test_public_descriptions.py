"""Real robots: what is simulated equals what pinocchio (URDF) and MuJoCo (MJCF) read.

Whatever differs must be named by a remark of the model; nothing else may.
"""

import math
from pathlib import Path

import numpy as np
import pytest

import public_descriptions
from roboyard.errors import RobotDescriptionError
from roboyard.robots.normalization import normalize
from roboyard.robots.readers.files import read_robot, read_robots
from roboyard.sim.mechanics import (
    joined_inertial,
    link_poses,
    moved_inertial,
    whole_inertial,
)
from roboyard.sim.model import Inertial, RobotModel

TOLERANCE = 1e-4
EXPLAINS = {
    "inertia": {"inertia-mended", "massless", "mass-lent"},
    "mass": {"mass-lent"},
    "center": {"mass-lent"},
    "limits": {"limit-missing"},
    "joints": {"joint-split"},
}
"""What a difference of each kind may come from."""
NOT_TO_READ = {"urdf": 15, "xml": 80}
"""At most so many files may be refused: parts of others, missing meshes, no links."""


def unexplained(differences: set[str], model: RobotModel) -> set[str]:
    codes = {remark.code for remark in model.remarks}
    return {kind for kind in differences if not EXPLAINS.get(kind, set()) & codes}


def differing(ours: Inertial, theirs: Inertial, size: float) -> set[str]:
    found = set()
    if abs(ours.mass - theirs.mass) > TOLERANCE * theirs.mass:
        found.add("mass")
    if theirs.mass > 0 and np.abs(ours.center - theirs.center).max() > TOLERANCE * size:
        found.add("center")
    if np.abs(ours.inertia - theirs.inertia).max() > TOLERANCE * np.abs(theirs.inertia).max():
        found.add("inertia")
    return found


def configurations(model: RobotModel) -> list[dict[str, float]]:
    rng = np.random.default_rng(0)
    names = [joint.name for joint in model.movable_joints]
    turned = [{name: float(rng.uniform(-1, 1)) for name in names} for _ in range(2)]
    return [dict.fromkeys(names, 0.0), *turned]


def differences_from_pinocchio(file: Path, model: RobotModel) -> set[str]:
    pin = pytest.importorskip("pinocchio")
    try:
        theirs = pin.buildModelFromUrdf(str(file))
    except ValueError:
        return set()  # It refuses the file.
    data = theirs.createData()
    joints = {joint.name: joint for joint in model.movable_joints}
    found = set() if set(theirs.names[1:]) == set(joints) else {"joints"}
    for positions in configurations(model):
        found |= differences_at(pin, theirs, data, model, positions)
    for number, name in enumerate(theirs.names):
        joint = joints.get(name)
        if joint is None or theirs.joints[number].nq != 1 or joint.is_endless:
            continue
        index = theirs.joints[number].idx_q
        bounds = theirs.lowerPositionLimit[index], theirs.upperPositionLimit[index]
        for bound, limit in zip(bounds, (joint.lower, joint.upper), strict=True):
            is_none = abs(bound) > 1e9 and math.isinf(limit)
            if not is_none and abs(bound - limit) > TOLERANCE * max(1, abs(bound)):
                found.add("limits")
    return found


def differences_at(pin, theirs, data, model: RobotModel, positions: dict[str, float]) -> set[str]:
    q = pin.neutral(theirs)
    for number, name in enumerate(theirs.names):
        joint = theirs.joints[number]
        if name in positions and joint.nq == 2:
            q[joint.idx_q : joint.idx_q + 2] = math.cos(positions[name]), math.sin(positions[name])
        elif name in positions and joint.nq == 1:
            q[joint.idx_q] = positions[name]
    pin.forwardKinematics(theirs, data, q)
    pin.updateFramePlacements(theirs, data)
    base = data.oMf[theirs.getFrameId(model.root)]
    poses = link_poses(model, positions)
    found = set()
    for link in model.links:
        number = theirs.getFrameId(link.name, pin.FrameType.BODY)
        if number < len(theirs.frames):
            place = base.actInv(data.oMf[number])
            apart = np.abs(place.translation - poses[link.name].position).max()
            turned = np.abs(place.rotation - poses[link.name].rotation).max()
            if max(apart, turned) > 1e-6:
                found.add("frames")
    whole = pin.Inertia.Zero()
    for number in range(theirs.njoints):
        whole += base.actInv(data.oMi[number]).act(theirs.inertias[number])
    size = 1e-3 + max(float(np.linalg.norm(pose.position)) for pose in poses.values())
    other = Inertial(whole.mass, whole.lever, whole.inertia)
    return found | differing(whole_inertial(model, positions), other, size)


def check_urdfs(every: int) -> int:
    checked, refused, wrong = 0, [], {}
    for file in public_descriptions.files(".urdf", "<robot")[::every]:
        try:
            model = normalize(read_robot(file))
        except RobotDescriptionError as error:
            refused.append(str(error))
            continue
        checked += 1
        left = unexplained(differences_from_pinocchio(file, model), model)
        if left:
            wrong[str(file)] = left
    assert not wrong
    assert len(refused) <= NOT_TO_READ["urdf"], "\n".join(refused)
    assert all("\n" not in line for line in refused)
    return checked


def differences_from_mujoco(mujoco, compiled, model: RobotModel) -> set[str]:
    bodies = {compiled.body(i).name or f"body{i}": i for i in range(compiled.nbody)}
    numbers = {
        compiled.joint(i).name
        or f"{compiled.body(compiled.jnt_bodyid[i]).name or f'body{compiled.jnt_bodyid[i]}'}"
        f"_joint{i}": i
        for i in range(compiled.njnt)
    }
    joints = {joint.name: joint for joint in model.movable_joints}
    found = {"joints"} if not set(joints) <= set(numbers) else set()
    for positions in configurations(model):
        data = mujoco.MjData(compiled)
        for name in set(joints) & set(numbers):
            data.qpos[compiled.jnt_qposadr[numbers[name]]] = positions[name]
        if not set(joints) <= set(numbers):
            positions = dict.fromkeys(positions, 0.0)  # noqa: PLW2901
            mujoco.mj_resetData(compiled, data)
            if any(
                compiled.qpos0[compiled.jnt_qposadr[numbers[n]]] for n in set(joints) & set(numbers)
            ):
                continue
        mujoco.mj_kinematics(compiled, data)
        mujoco.mj_comPos(compiled, data)
        poses, parts = link_poses(model, positions), []
        for link in model.links:
            if link.name not in bodies or link.name == "world":
                continue
            number = bodies[link.name]
            pose = model.pose @ poses[link.name]
            apart = np.abs(data.xpos[number] - pose.position).max()
            turned = np.abs(data.xmat[number].reshape(3, 3) - pose.rotation).max()
            if max(apart, turned) > 1e-6:
                found.add("frames")
            axes = data.ximat[number].reshape(3, 3)
            inertia = axes @ np.diag(compiled.body_inertia[number]) @ axes.T
            mass = float(compiled.body_mass[number])
            parts.append(Inertial(mass, data.xipos[number].copy(), inertia))
        ours = moved_inertial(whole_inertial(model, positions), model.pose)
        found |= differing(ours, joined_inertial(parts), 1.0)
    for name in set(joints) & set(numbers):
        number, joint = numbers[name], joints[name]
        if bool(compiled.jnt_limited[number]) != joint.has_limits or (
            joint.has_limits
            and np.abs(compiled.jnt_range[number] - [joint.lower, joint.upper]).max() > TOLERANCE
        ):
            found.add("limits")
    return found


def check_mjcfs(every: int) -> int:
    mujoco = pytest.importorskip("mujoco")
    checked, refused, wrong = 0, [], {}
    for file in public_descriptions.files(".xml", "<mujoco")[::every]:
        try:
            robots = [normalize(robot) for robot in read_robots(file) if robot.movable_joints]
        except RobotDescriptionError as error:
            refused.append(str(error))
            continue
        if not robots:
            continue
        checked += 1
        spec = mujoco.MjSpec.from_file(str(file))
        spec.compiler.fusestatic = False
        compiled = spec.compile()
        for model in robots:
            left = unexplained(differences_from_mujoco(mujoco, compiled, model), model)
            if left:
                wrong[f"{file}: {model.name}"] = left
    assert not wrong
    assert len(refused) <= NOT_TO_READ["xml"], "\n".join(refused)
    assert all("\n" not in line for line in refused)
    return checked


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_urdf_is_what_pinocchio_reads_or_says_why_not() -> None:
    assert check_urdfs(every=1) >= 100


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_mjcf_is_what_mujoco_reads_or_says_why_not() -> None:
    assert check_mjcfs(every=1) >= 60


def test_a_third_of_the_urdfs_is_what_pinocchio_reads_or_says_why_not() -> None:
    assert check_urdfs(every=3) >= 34


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_third_of_the_mjcfs_is_what_mujoco_reads_or_says_why_not() -> None:
    assert check_mjcfs(every=3) >= 20
