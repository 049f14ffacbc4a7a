"""What is said of a robot before it is trained, and which descriptions are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from roboyard.errors import RobotDescriptionError
from roboyard.robots import Robot, load_robot
from roboyard.robots.description import check_description, words_for_numbers
from roboyard.robots.inspect import inspect_robot
from roboyard.sim import World, data_path

ARM = """
<robot name="arm">
  <link name="stand">
    <inertial><mass value="2"/><inertia ixx="0.1" iyy="0.1" izz="0.1" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><geometry><box size="0.2 0.2 0.2"/></geometry></collision>
  </link>
  <link name="lever">
    <inertial><mass value="{mass}"/><inertia ixx="{ixx}" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><origin xyz="0 0 {reach}"/><geometry>{shape}</geometry></collision>
  </link>
  <joint name="elbow" type="revolute">
    <parent link="stand"/><child link="lever"/><axis xyz="1 0 0"/><origin xyz="0 0 0.1"/>
    {limit}
  </joint>
</robot>
"""  # noqa: E501
GOOD = {
    "mass": "1",
    "ixx": "0.01",
    "reach": "0.3",
    "shape": '<sphere radius="0.05"/>',
    "limit": '<limit lower="-1" upper="1" effort="5" velocity="3"/>',
}


def arm(folder: Path, **changes: str) -> Path:
    """Write an arm of one joint that stands on the ground, with ``changes``."""
    file = folder / "arm.urdf"
    file.write_text(ARM.format(**{**GOOD, **changes}))
    return file


def test_masses_limits_and_size_are_those_of_the_file(tmp_path: Path) -> None:
    report = inspect_robot(arm(tmp_path), fixed_base=True, with_picture=True)
    assert report.total_mass == pytest.approx(1.0)  # a base that is fixed has none
    assert [link.name for link in report.links] == ["stand", "lever"]
    (elbow,) = report.joints
    assert (elbow.name, elbow.lower, elbow.upper, elbow.max_force) == ("elbow", -1, 1, 5)
    assert report.bounds.upper[2] == pytest.approx(0.45, abs=0.01)
    assert report.picture is not None
    assert report.picture.shape == (720, 960, 3)
    assert report.picture.std() > 10  # something is on it
    assert not any("ground" in warning for warning in report.warnings)


WARNINGS = [
    ({"ixx": "0.5"}, "has an inertia that no body can have: principal moments 0.01,"),
    ({"ixx": "0"}, "has an inertia that is not positive"),
    ({"mass": "0"}, "they move nothing that has a mass, which cannot be simulated"),
    ({"limit": '<limit lower="-1" upper="1"/>'}, "no effort limit: 'elbow'; give actuators."),
    ({"limit": '<limit lower="-1" upper="1"/>'}, "no velocity limit: 'elbow'"),
    ({"limit": '<limit lower="1" upper="2"/>'}, "initial positions beyond the limits: 'elbow'"),
    ({}, "link 'stand' is 0.100 m below the ground at the initial pose; give position: [0, 0, 0.1"),
]


@pytest.mark.parametrize(("changes", "warning"), WARNINGS, ids=[w[:40] for _, w in WARNINGS])
def test_what_makes_training_fail_is_warned_of(
    changes: dict[str, str], warning: str, tmp_path: Path
) -> None:
    report = inspect_robot(arm(tmp_path, **changes))
    assert [line for line in report.warnings if warning in line]


def test_a_placeholder_for_an_inertia_is_warned_of(tmp_path: Path) -> None:
    file = arm(tmp_path)
    file.write_text(file.read_text().replace('"0.01"', '"1"'))
    warnings = inspect_robot(file, fixed_base=True).warnings
    assert [line for line in warnings if "set inertia: shapes" in line]


def test_a_mesh_that_is_missing_is_named_with_the_nearest_file(tmp_path: Path) -> None:
    (tmp_path / "lever.dae").touch()
    file = arm(tmp_path)
    visual = '<visual><geometry><mesh filename="levr.dae"/></geometry></visual>'
    file.write_text(file.read_text().replace('<link name="lever">', f'<link name="lever">{visual}'))
    warnings = inspect_robot(file).warnings
    assert [w for w in warnings if "the visual mesh 'levr.dae'" in w and "'lever.dae'" in w]


def test_links_that_overlap_are_warned_of(tmp_path: Path) -> None:
    # The forearm's tip reaches back into the stand, its parent's parent.
    file = arm(tmp_path)
    text = file.read_text().replace(
        "</robot>",
        '<link name="hand"><inertial><mass value="1"/><inertia ixx="0.01" iyy="0.01" izz="0.01" '
        'ixy="0" ixz="0" iyz="0"/></inertial><collision><origin xyz="0.0 0.28 0"/><geometry><box '
        'size="0.1 0.5 0.1"/></geometry></collision></link><joint name="wrist" type="fixed">'
        '<parent link="stand"/><child link="hand"/><origin xyz="0 0 0.4"/></joint></robot>',
    )
    file.write_text(text)
    warnings = inspect_robot(file, fixed_base=True).warnings
    assert [line for line in warnings if "links 'lever' and 'hand' overlap by" in line]


@pytest.mark.parametrize("name", ["hopper", "walker2d"])
def test_robots_of_the_catalogue_raise_no_warning(name: str) -> None:
    assert inspect_robot(name).warnings == ()


BAD = [
    ({"mass": "nan"}, "link 'lever': value of <mass> is 'nan', but must hold finite numbers"),
    (
        {"ixx": "${inertia}"},
        "ixx of <inertia> is '${inertia}', but must be one number. It is xacro",
    ),
    ({"ixx": "inf"}, "link 'lever': ixx of <inertia> is 'inf'"),
    ({"reach": "NaN"}, "link 'lever': xyz of <origin> is '0 0 NaN'"),
    ({"limit": '<limit lower="-inf" upper="1"/>'}, "joint 'elbow': lower of <limit> is '-inf'"),
    (
        {"limit": '<limit lower="1" upper="-1"/>'},
        "joint 'elbow': its limits are reversed: lower is 1, upper is -1. Swap them",
    ),
    (
        {"shape": '<mesh filename="package://arm/lver.stl"/>'},
        "link 'lever': the collision mesh 'package://arm/lver.stl' does not exist",
    ),
]


@pytest.mark.parametrize(("changes", "words"), BAD, ids=[words[:40] for _, words in BAD])
def test_descriptions_that_the_engine_takes_for_nonsense_are_refused(
    changes: dict[str, str], words: str, tmp_path: Path
) -> None:
    file = arm(tmp_path, **changes)
    spec = load_robot({"file": str(file), "actuators": [{"joints": ["*"]}]})
    with World() as world, pytest.raises(RobotDescriptionError) as caught:
        Robot(world, spec)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)
    with pytest.raises(RobotDescriptionError):
        inspect_robot(file)


def test_numbers_of_mjcf_files_are_checked_too(tmp_path: Path) -> None:
    file = tmp_path / "toy.xml"
    file.write_text('<mujoco><worldbody><body name="b" pos="0 nan 0"/></worldbody></mujoco>')
    with pytest.raises(RobotDescriptionError, match=r"body 'b': pos of <body> is '0 nan 0'"):
        check_description(file)


def test_words_that_the_engine_reads_as_zero_are_found() -> None:
    (first, *_) = words_for_numbers(data_path() / "husky" / "husky.urdf")
    assert first.startswith("joint 'imu_joint': rpy of <origin> is '$(optenv HUSKY_IMU_RPY")
