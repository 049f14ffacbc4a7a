"""SDF: poses in the frames that it names."""

from pathlib import Path

import numpy as np
import pytest

from roboyard.errors import RobotDescriptionError
from roboyard.robots.normalization import normalize
from roboyard.robots.readers.files import read_robot
from roboyard.sim.mechanics import link_poses

INERTIAL = (
    "<inertial><mass>2</mass><inertia><ixx>1</ixx><iyy>1</iyy><izz>1</izz></inertia></inertial>"
)
SDF = f"""<sdf version="1.9"><model name="m">
  <link name="base">{INERTIAL}</link>
  <link name="arm"><pose relative_to="base">0 0 1 0 0 1.5707963267948966</pose>{INERTIAL}
    <collision name="c"><geometry><box><size>1 2 3</size></box></geometry></collision></link>
  <joint name="j" type="revolute"><parent>base</parent><child>arm</child>
    <pose>0.5 0 0 0 0 0</pose>
    <axis><xyz>0 0 1</xyz><limit><lower>-1</lower><upper>2</upper><effort>5</effort></limit>
    <dynamics><damping>0.1</damping><friction>0.2</friction></dynamics></axis></joint>
</model></sdf>"""


def test_a_joint_turns_about_its_own_place(tmp_path: Path) -> None:
    file = tmp_path / "m.sdf"
    file.write_text(SDF)
    model = normalize(read_robot(file))
    (joint,) = model.movable_joints
    assert (joint.lower, joint.upper, joint.effort) == (-1, 2, 5)
    assert (joint.damping, joint.friction) == (0.1, 0.2)
    np.testing.assert_allclose(link_poses(model, {})["arm"].position, [0, 0, 1], atol=1e-12)
    turned = link_poses(model, {"j": np.pi / 2})["arm"].position
    np.testing.assert_allclose(turned, [0.5, 0.5, 1], atol=1e-12)
    assert sum(link.mass for link in model.links) == 4


def test_a_joint_to_the_world_holds_the_base(tmp_path: Path) -> None:
    file = tmp_path / "m.sdf"
    held = '<joint name="h" type="fixed"><parent>world</parent><child>base</child></joint>'
    file.write_text(SDF.replace("</model>", f"{held}</model>"))
    assert normalize(read_robot(file)).is_fixed


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('type="revolute"', 'type="screw"', "its type is 'screw'"),
        ('relative_to="base"', 'relative_to="bass"', "the frame 'bass' does not exist"),
        ('relative_to="base"', 'relative_to="arm"', "the frame 'arm' is given by itself"),
        ("<size>1 2 3</size>", "<size>1 2</size>", "must be 3 numbers"),
        ("</model>", "<include><uri>x</uri></include></model>", "<include> in a <model>"),
    ],
)
def test_what_is_not_read_is_refused_with_its_line(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "m.sdf"
    file.write_text(SDF.replace(old, new))
    with pytest.raises(RobotDescriptionError, match=rf"line \d+: .*{words}"):
        normalize(read_robot(file))
