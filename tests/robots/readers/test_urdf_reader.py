"""What the reader and the normaliser make of small URDFs, each with one trap."""

import math
from pathlib import Path

import numpy as np
import pytest

from roboyard.errors import RobotDescriptionError
from roboyard.robots.normalization import Normalization, normalize
from roboyard.robots.readers.files import read_robot
from roboyard.sim.mechanics import link_poses, rotation_from_rpy, whole_inertial
from roboyard.sim.model import JointKind, Mesh, RobotModel
from roboyard.sim.writers.meshes import MeshStore
from roboyard.sim.writers.urdf import write_urdf

CASES = Path(__file__).parents[2] / "data" / "robots"


def read(name: str, **options: object) -> RobotModel:
    return normalize(read_robot(CASES / name), Normalization(**options))  # type: ignore[arg-type]


def codes(model: RobotModel) -> set[str]:
    return {remark.code for remark in model.remarks}


def refusal(name: str) -> str:
    with pytest.raises(RobotDescriptionError) as caught:
        read(name)
    message = str(caught.value)
    assert "\n" not in message
    assert name in message
    return message


def test_an_axis_gets_length_one_and_is_remarked_on() -> None:
    model = read("axis_not_unit.urdf")
    np.testing.assert_allclose(model.joint("ja").axis, [0, 1, 0])
    (remark,) = model.remarks
    assert (remark.code, remark.line) == ("axis-normalised", 5)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("axis_zero.urdf", "joint 'ja': its axis has length 0"),
        ("comma_decimal.urdf", "'0,5', but must be one number. Decimals have a point"),
        ("inertial_no_mass.urdf", "link 'a': <inertial> has no <mass value=\"...\"/>"),
        ("negative_mass.urdf", "link 'a': its mass is -1"),
        ("mesh_package.urdf", "robot.packages: {my_robot: DIR}, or set ROS_PACKAGE_PATH"),
    ],
)
def test_what_is_wrong_is_one_line_that_says_where_and_what_to_do(name: str, words: str) -> None:
    message = refusal(name)
    assert words in message
    assert ", line " in message


def test_continuous_joints_have_no_limits_whatever_the_file_says() -> None:
    model = read("continuous_with_limits.urdf")
    joint = model.joint("ja")
    assert (joint.lower, joint.upper, joint.is_endless) == (-math.inf, math.inf, True)
    assert codes(model) == {"limit-of-continuous"}


@pytest.mark.parametrize(("name", "what"), [("effort_zero.urdf", "effort"),
                                            ("velocity_zero.urdf", "velocity")])  # fmt: skip
def test_a_limit_of_zero_on_strength_is_none_and_is_said(name: str, what: str) -> None:
    model = read(name)
    assert getattr(model.joint("ja"), what) == math.inf
    assert codes(model) == {f"{what}-zero"}


def test_friction_and_damping_are_read() -> None:
    joint = read("joint_friction.urdf").joint("ja")
    assert joint.friction > 0
    assert joint.kind is JointKind.REVOLUTE


def test_limits_that_look_like_degrees_are_remarked_on_and_kept() -> None:
    model = read("limits_in_degrees.urdf")
    assert (model.joint("ja").lower, model.joint("ja").upper) == (-90, 90)
    assert codes(model) == {"limits-in-degrees"}


def test_a_range_of_zero_is_kept_and_said() -> None:
    model = read("revolute_zero_limits.urdf")
    assert model.joint("ja").has_limits
    assert codes(model) == {"range-zero"}


@pytest.mark.parametrize(("name", "multiplier", "offset"), [
    ("mimic_plain.urdf", None, None), ("mimic_offset.urdf", -2.0, 0.5),
])  # fmt: skip
def test_mimic_joints_follow(name: str, multiplier: float | None, offset: float | None) -> None:
    mimic = read(name).joint("jb").mimic
    assert mimic is not None
    assert mimic.joint == "ja"
    if multiplier is not None:
        assert (mimic.multiplier, mimic.offset) == (multiplier, offset)


def test_a_root_without_mass_carries_what_is_fixed_to_it() -> None:
    model = read("root_no_inertial.urdf")
    plain = read_robot(CASES / "root_no_inertial.urdf")
    file_mass = sum(link.mass for link in plain.links)
    assert model.link(model.root).mass == pytest.approx(0.5)
    assert sum(link.mass for link in model.links) == pytest.approx(file_mass)
    assert codes(model) == {"mass-moved"}


def test_a_tool_without_an_inertial_weighs_nothing() -> None:
    model = read("tool_no_inertial.urdf")
    assert min(link.mass for link in model.links) == 0
    assert sum(link.mass for link in model.links) == pytest.approx(
        sum(link.mass for link in read_robot(CASES / "tool_no_inertial.urdf").links)
    )


def test_computed_masses_are_those_of_the_shapes() -> None:
    model = read("root_no_inertial.urdf", masses="computed")
    root = model.link(model.root)
    if root.collisions:
        assert root.mass > 0
    assert "mass-computed" in codes(model) or not root.collisions


def test_an_inertia_slightly_off_is_moved_by_as_little() -> None:
    model = read("thin_disc_rounded.urdf")
    inertia = model.link("wheel").inertial
    assert inertia is not None
    moments = np.linalg.eigvalsh(inertia.inertia)
    np.testing.assert_allclose(moments, [0.00083333, 0.00083333, 0.00166667], rtol=1e-4)
    assert codes(model) == {"inertia-mended"}


def test_an_impossible_inertia_is_mended_or_refused_but_never_zero() -> None:
    inertial = read("inertia_not_possible.urdf").link("a").inertial
    assert inertial is not None
    small, middle, large = np.linalg.eigvalsh(inertial.inertia)
    assert small > 0
    assert large <= small + middle
    with pytest.raises(RobotDescriptionError, match=r"link 'a' has an inertia .*inertia: mend"):
        read("inertia_not_possible.urdf", inertia="refuse")


def test_a_mass_without_an_inertia_gets_that_of_the_shapes() -> None:
    inertial = read("inertial_mass_only.urdf").link("a").inertial
    assert inertial is not None
    np.testing.assert_allclose(
        np.diag(inertial.inertia), inertial.mass * 2 * 0.1**2 / 12 * np.ones(3), rtol=1e-9
    )


@pytest.mark.parametrize(("name", "suffixes"), [
    ("planar.urdf", ["slide_1", "slide_2", "turn"]),
    ("spherical.urdf", ["turn_x", "turn_y", "turn_z"]),
    ("floating.urdf", ["x", "y", "z", "turn_x", "turn_y", "turn_z"]),
])  # fmt: skip
def test_joints_of_several_freedoms_become_chains(name: str, suffixes: list[str]) -> None:
    model = read(name)
    assert [j.name for j in model.movable_joints] == [*(f"ja_{s}" for s in suffixes), "jb"]
    assert codes(model) == {"joint-split"}
    before, after = read_robot(CASES / name), link_poses(model, {})
    assert {link.name for link in before.links} <= set(after)
    np.testing.assert_allclose(after["b"].position, [0, 0, 0.4], atol=1e-12)


def test_a_planar_joint_moves_in_the_plane_across_its_axis() -> None:
    model = read("planar.urdf")
    moved = link_poses(model, {"ja_slide_1": 0.3, "ja_slide_2": -0.2})["a"].position
    np.testing.assert_allclose(np.linalg.norm(moved - [0, 0, 0.2]), np.hypot(0.3, 0.2))
    assert moved[1] == pytest.approx(0)


def test_commas_between_numbers_count_as_spaces() -> None:
    model = read("rpy_with_comma.urdf")
    np.testing.assert_allclose(
        model.joint("ja").origin.rotation, rotation_from_rpy((0, 0, 1.5707963)), atol=1e-12
    )
    assert codes(model) == {"comma-repaired"}


def test_names_in_the_declared_encoding_are_read() -> None:
    assert "körper" in {link.name for link in read("names_latin1.urdf").links}


@pytest.mark.parametrize(
    "name",
    [
        "namespace_unbound.urdf",
        "massless_between.urdf",
        "inertia_offdiagonal.urdf",
        "base_inertial_rpy.urdf",
    ],
)
def test_what_is_in_order_has_no_remark(name: str) -> None:
    assert not read(name).remarks


def test_a_missing_visual_mesh_is_left_out_and_named() -> None:
    model = read("mesh_visual_missing.urdf")
    (remark,) = model.remarks
    assert remark.code == "visual-missing"
    assert "meshes/nothing.dae" in remark.what
    assert not model.link("a").visuals
    assert model.link("a").collisions


def test_packages_are_found_by_the_config_and_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = CASES / "mesh_package.urdf"
    given = read_robot(file, packages={"my_robot": str(CASES)})
    mesh = given.link("a").collisions[0].geometry
    assert isinstance(mesh, Mesh)
    assert mesh.file == str((CASES / "meshes" / "box.obj").resolve())
    for variable, folder in (("ROS_PACKAGE_PATH", tmp_path), ("AMENT_PREFIX_PATH", tmp_path)):
        inside = folder / ("share" if variable.startswith("AMENT") else ".")
        inside.mkdir(exist_ok=True)
        link = inside / "my_robot"
        link.symlink_to(CASES)
        monkeypatch.setenv(variable, str(folder))
        assert read_robot(file).links
        monkeypatch.delenv(variable)
        link.unlink()


def test_a_text_stl_is_read_and_an_lfs_pointer_is_named(tmp_path: Path) -> None:
    store = MeshStore(tmp_path)
    text = write_urdf(read("mesh_box_ascii_stl.urdf"), store).text
    assert text.count(".obj") == 2
    with pytest.raises(RobotDescriptionError, match=r"link 'a'.*lfs_pointer.*git lfs pull"):
        write_urdf(read("mesh_lfs_pointer_stl.urdf"), store)


def test_xacro_in_a_urdf_is_expanded() -> None:
    pytest.importorskip("xacro")
    model = read("xacro_unexpanded.urdf")
    np.testing.assert_allclose(model.joint("ja").origin.position, [0, 0, 0.2])


def chain(links: int, kind: str) -> str:
    inertial = (
        '<inertial><mass value="0.1"/><inertia ixx="0.001" iyy="0.001" izz="0.001" ixy="0" '
        'ixz="0" iyz="0"/></inertial>'
    )
    parts = [f'<link name="l{i}">{inertial}</link>' for i in range(links)]
    parts += [
        f'<joint name="j{i}" type="{kind if i else "revolute"}"><parent link="l{i}"/>'
        f'<child link="l{i + 1}"/><origin xyz="0 0 0.1"/><axis xyz="0 1 0"/>'
        '<limit lower="-1" upper="1" effort="1" velocity="1"/></joint>'
        for i in range(links - 1)
    ]
    return f'<robot name="chain">{"".join(parts)}</robot>'


def test_links_beyond_the_engines_number_are_merged_if_fixed_and_else_refused(
    tmp_path: Path,
) -> None:
    file = tmp_path / "chain.urdf"
    file.write_text(chain(140, "fixed"))
    whole = normalize(read_robot(file))
    model = normalize(read_robot(file), Normalization(max_links=128))
    assert len(model.links) == 128
    assert "fixed-merged" in codes(model)
    for position in (0.0, 0.7):
        a, b = (whole_inertial(m, {"j0": position}) for m in (whole, model))
        assert a.mass == pytest.approx(b.mass)
        np.testing.assert_allclose(a.inertia, b.inertia, rtol=1e-9, atol=1e-12)
    file.write_text(chain(129, "revolute"))
    with pytest.raises(RobotDescriptionError, match=r"129 links.* at most 128"):
        normalize(read_robot(file), Normalization(max_links=128))


LINK = '<link name="{}"/>'
JOINT = '<joint name="{0}" type="fixed"><parent link="{1}"/><child link="{2}"/></joint>'


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([LINK.format("a"), LINK.format("b")], "not one tree: no joint holds 'a', 'b'"),
        ([LINK.format("a"), LINK.format("b"), JOINT.format("j", "a", "b"),
          JOINT.format("k", "b", "a")], "form a ring"),
        ([LINK.format("a"), LINK.format("b"), LINK.format("c"), JOINT.format("j", "b", "c"),
          JOINT.format("k", "c", "b")], "form a ring"),
        ([LINK.format("a"), JOINT.format("j", "a", "a")], "holds link 'a' to itself"),
        ([LINK.format(n) for n in "abc"] + [JOINT.format("j", "a", "c"),
                                            JOINT.format("k", "b", "c")], "both hold link 'c'"),
        ([LINK.format("a"), LINK.format("a")], "2 links have the name 'a'"),
        ([LINK.format("a"), JOINT.format("j", "a", "b")], "the child link 'b', which does not"),
        ([], "it has no links"),
    ],
)  # fmt: skip
def test_links_and_joints_that_are_no_tree_are_refused(
    parts: list[str], words: str, tmp_path: Path
) -> None:
    file = tmp_path / "robot.urdf"
    file.write_text(f'<robot name="r">{"".join(parts)}</robot>')
    with pytest.raises(RobotDescriptionError, match=words):
        normalize(read_robot(file))
