"""What the reader makes of small MJCFs, each with one trap, and the way back."""

import math
from pathlib import Path

import numpy as np
import pytest

from roboyard.errors import RobotDescriptionError
from roboyard.robots.normalization import normalize
from roboyard.robots.readers.files import read_robot, read_robots
from roboyard.sim.model import RobotModel

pytest.importorskip("mujoco")

CASES = Path(__file__).parents[2] / "data" / "robots"
RANGE = pytest.approx(math.radians(30))


def read(name: str) -> RobotModel:
    return normalize(read_robot(CASES / name))


def codes(model: RobotModel) -> set[str]:
    return {remark.where for remark in model.remarks if remark.code == "ignored"}


@pytest.mark.parametrize(
    "name",
    ["mjcf_plain", "mjcf_include", "mjcf_autolimits",
     "mjcf_joint_no_type", "mjcf_freejoint", "mjcf_actuators", "mjcf_keyframe", "mjcf_tendon",
     "mjcf_two_robots", "mjcf_fixed_root"],
)  # fmt: skip
def test_the_robot_has_its_joint_its_range_and_its_masses(name: str) -> None:
    model = read(f"{name}.xml")
    (joint,) = model.movable_joints
    assert joint.upper == RANGE
    assert joint.lower == pytest.approx(-joint.upper)
    assert model.link("torso").mass == pytest.approx(2)
    assert model.link("arm").mass == pytest.approx(1)
    assert model.is_fixed is (name == "mjcf_fixed_root")
    np.testing.assert_allclose(model.pose.position, [0, 0, 1])


def test_a_density_makes_the_mass() -> None:
    tube, ball = math.pi * 0.03**2 * 0.3, 4 / 3 * math.pi * 0.03**3
    arm = read("mjcf_density_default.xml").link("arm")
    assert arm.mass == pytest.approx(5 * (tube + ball))


@pytest.mark.parametrize("name", ["mjcf_default_class", "mjcf_childclass"])
def test_classes_give_joints_and_shapes_what_they_lack(name: str) -> None:
    model = read(f"{name}.xml")
    (joint,) = model.movable_joints
    assert joint.upper == RANGE
    assert joint.damping == 2
    tube, ball = math.pi * 0.03**2 * 0.3, 4 / 3 * math.pi * 0.03**3
    assert model.link("arm").mass == pytest.approx(200 * (tube + ball))


def test_radians_are_radians() -> None:
    (joint,) = read("mjcf_radian.xml").movable_joints
    assert 0 < joint.upper < math.pi


def test_a_ball_joint_becomes_three() -> None:
    model = read("mjcf_ball.xml")
    assert [joint.name for joint in model.movable_joints] == ["j_turn_x", "j_turn_y", "j_turn_z"]


def test_a_drive_says_how_strong_its_joint_is() -> None:
    model = read("mjcf_actuators.xml")
    assert model.joint("j").effort == 50
    (actuator,) = model.actuators
    assert (actuator.target, actuator.gear, actuator.control_range) == ("j", 50, (-1, 1))


@pytest.mark.parametrize(("name", "what"), [
    ("mjcf_keyframe", "keyframes"), ("mjcf_tendon", "tendons"),
    ("mjcf_equality", "equalities other than of two joints"),
])  # fmt: skip
def test_what_has_no_place_in_a_robot_is_named(name: str, what: str) -> None:
    assert what in codes(read(f"{name}.xml"))


def test_one_of_several_robots_is_chosen_by_name() -> None:
    file = CASES / "mjcf_two_robots.xml"
    assert [robot.name for robot in read_robots(file)] == ["torso", "cube"]
    assert read_robot(file).root == "torso"
    assert "other-robots" in {remark.code for remark in read_robot(file).remarks}
    assert read_robot(file, body="cube").root == "cube"
    with pytest.raises(RobotDescriptionError, match=r"no body has a link 'cub'.*'cube'"):
        read_robot(file, body="cub")


@pytest.mark.parametrize(
    ("name", "words"),
    [("mjcf_mesh_missing.xml", "nothing.stl"), ("mjcf_part.xml", "the file that includes it")],
)
def test_what_mujoco_refuses_is_one_line(name: str, words: str) -> None:
    with pytest.raises(RobotDescriptionError, match=words) as caught:
        read(name)
    assert "\n" not in str(caught.value)


def test_a_joint_equality_makes_a_joint_follow(tmp_path: Path) -> None:
    file = tmp_path / "robot.xml"
    text = (CASES / "mjcf_equality.xml").read_text()
    second = '<body name="other"><joint name="k" ref="20"/><geom type="sphere" size="0.1"/></body>'
    text = text.replace('<geom name="gt"', f'{second}<geom name="gt"')
    equality = '<joint joint1="j" joint2="k" polycoef="0.2 2 0 0 0"/>'
    text = text.replace('<joint joint1="j" polycoef="0.2 0 0 0 0"/>', equality)
    file.write_text(text)
    mimic = read_robot(file).joint("j").mimic
    assert mimic is not None
    assert (mimic.joint, mimic.multiplier) == ("k", 2)
    assert mimic.offset == pytest.approx(0.2 - 2 * math.radians(20))
