"""What the engines have of a written model: the same links, masses, inertias and limits."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pybullet
import pytest

from roboyard.robots.normalization import normalize
from roboyard.robots.readers.files import read_robot
from roboyard.sim.mechanics import (
    joined_inertial,
    joints_from_root,
    link_poses,
    moved_inertial,
    rotation_from_quaternion,
    whole_inertial,
)
from roboyard.sim.model import Floats, Inertial, Pose, RobotModel
from roboyard.sim.writers.meshes import MeshStore
from roboyard.sim.writers.mjcf import write_mjcf
from roboyard.sim.writers.urdf import LONGEST_LINE, write_urdf

CASES = Path(__file__).parents[2] / "data" / "robots"


NAMES = (
    "axis_not_unit.urdf", "base_inertial_rpy.urdf", "continuous_with_limits.urdf", "floating.urdf",
    "inertia_not_possible.urdf", "inertia_offdiagonal.urdf", "massless_between.urdf",
    "mesh_box_ascii_stl.urdf", "mimic_offset.urdf", "names_latin1.urdf", "planar.urdf",
    "revolute_zero_limits.urdf", "root_no_inertial.urdf", "rpy_with_comma.urdf", "spherical.urdf",
    "tool_no_inertial.urdf", "mjcf_ball.xml", "mjcf_plain.xml", "mjcf_axisangle.xml",
)  # fmt: skip


def rotation(quaternion: tuple[float, ...]) -> Floats:
    x, y, z, w = quaternion
    return rotation_from_quaternion(w, x, y, z)


def positions_of(model: RobotModel) -> dict[str, float]:
    rng = np.random.default_rng(0)
    return {joint.name: float(rng.uniform(-1, 1)) for joint in model.movable_joints}


@pytest.fixture(scope="module")
def client() -> Iterator[int]:
    number = pybullet.connect(pybullet.DIRECT)
    yield number
    pybullet.disconnect(number)


@pytest.mark.parametrize("name", NAMES)
def test_pybullet_has_the_robot_that_was_written(name: str, client: int, tmp_path: Path) -> None:
    model = normalize(read_robot(CASES / name))
    written = write_urdf(model, MeshStore(tmp_path))
    file = tmp_path / "robot.urdf"
    file.write_text(written.text)
    assert max(map(len, written.text.splitlines())) < LONGEST_LINE
    flags = pybullet.URDF_USE_INERTIA_FROM_FILE
    body = pybullet.loadURDF(str(file), (1, 2, 3), (0.1, 0.2, 0.3, 0.9273618), flags=flags,
                             physicsClientId=client)  # fmt: skip
    info = [pybullet.getJointInfo(body, i, client) for i in range(len(model.joints))]
    assert [row[1].decode() for row in info] == [joint.name for joint in joints_from_root(model)]
    positions = positions_of(model)
    for row in info:
        joint = model.joint(row[1].decode())
        if joint.is_movable:
            pybullet.resetJointState(body, row[0], positions[joint.name], 0, client)
            assert (row[8] <= row[9]) is joint.has_limits
            if joint.has_limits:
                assert (row[8], row[9]) == pytest.approx((joint.lower, joint.upper))
    poses = link_poses(model, positions)
    place, turn = pybullet.getBasePositionAndOrientation(body, client)
    base = Pose(np.array(place), rotation(turn)) @ written.base.inverse()
    np.testing.assert_allclose(base.position, [1, 2, 3], atol=1e-6)
    np.testing.assert_allclose(base.rotation, rotation((0.1, 0.2, 0.3, 0.9273618)), atol=1e-6)
    parts = []
    for index in range(-1, len(info)):
        link = model.root if index < 0 else info[index][12].decode()
        if index >= 0:
            state = pybullet.getLinkState(body, index, 0, 1, client)
            expected = base @ poses[link]
            np.testing.assert_allclose(state[4], expected.position, atol=1e-6)
            np.testing.assert_allclose(rotation(state[5]), expected.rotation, atol=1e-6)
        mass, _, moments, center, turn = pybullet.getDynamicsInfo(body, index, client)[:5]
        axes = rotation(turn)
        own = Inertial(mass, np.array(center), axes @ np.diag(moments) @ axes.T)
        parts.append(moved_inertial(own, poses[link]))
    check_same(joined_inertial(parts), whole_inertial(model, positions))


@pytest.mark.parametrize("name", NAMES)
def test_mujoco_has_the_robot_that_was_written(name: str, tmp_path: Path) -> None:
    mujoco = pytest.importorskip("mujoco")
    model = normalize(read_robot(CASES / name))
    compiled = mujoco.MjModel.from_xml_string(write_mjcf(model, MeshStore(tmp_path)))
    data = mujoco.MjData(compiled)
    positions = positions_of(model)
    for joint, position in positions.items():
        data.qpos[compiled.joint(joint).qposadr[0]] = position
    mujoco.mj_kinematics(compiled, data)
    mujoco.mj_comPos(compiled, data)
    poses = link_poses(model, positions)
    names = {compiled.body(i).name: i for i in range(compiled.nbody)}
    parts = []
    for link in model.links:
        if link.name not in names:
            assert link.mass == 0
            continue
        body = names[link.name]
        expected = model.pose @ poses[link.name]
        np.testing.assert_allclose(data.xpos[body], expected.position, atol=1e-9)
        np.testing.assert_allclose(data.xmat[body].reshape(3, 3), expected.rotation, atol=1e-9)
        axes = data.ximat[body].reshape(3, 3)
        moments = np.diag(compiled.body_inertia[body])
        parts.append(Inertial(float(compiled.body_mass[body]), data.xipos[body],
                              axes @ moments @ axes.T))  # fmt: skip
    check_same(joined_inertial(parts), moved_inertial(whole_inertial(model, positions), model.pose))


def check_same(engine: Inertial, file: Inertial) -> None:
    assert engine.mass == pytest.approx(file.mass, rel=1e-6)
    np.testing.assert_allclose(engine.center, file.center, atol=1e-6)
    scale = np.abs(file.inertia).max()
    np.testing.assert_allclose(engine.inertia, file.inertia, atol=1e-5 * scale)
