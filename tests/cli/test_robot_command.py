"""``roboyard robot`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

CASES = Path(__file__).parents[1] / "data" / "robots"


def test_inspect_prints_tables_and_writes_a_picture(roboyard, tmp_path: Path) -> None:
    outcome = roboyard("robot", "inspect", "hopper", "--picture", "look/hopper.png")
    assert outcome.code == 0, outcome.err
    for words in ("thigh_joint", "revolute", "torso", "total mass 15.820 kg", "nothing suspicious"):
        assert words in outcome.out
    with Image.open(tmp_path / "look/hopper.png") as picture:
        assert picture.size == (960, 720)


def test_inspect_warns_of_a_robot_below_the_ground(roboyard) -> None:
    outcome = roboyard("robot", "inspect", "pybullet_data:a1/a1.urdf")
    assert outcome.code == 0, outcome.err
    assert "m below the ground" in outcome.out
    assert "initial positions beyond the limits: 'FR_lower_joint'" in outcome.out


def test_inspect_speaks_json(roboyard) -> None:
    outcome = roboyard("robot", "inspect", "reacher", "--json")
    record = json.loads(outcome.out)
    assert record["joints"][0]["name"] == "joint0"
    assert record["total_mass"] > 0
    assert record["warnings"] == ["no position limits: 'joint0'"]


def test_a_robot_that_is_not_there_is_one_line(roboyard) -> None:
    for name, words in (("hoper", "Did you mean 'hopper'?"), ("x.urdf", "does not exist")):
        outcome = roboyard("robot", "inspect", name)
        assert outcome.code == 2
        assert words in outcome.err
        assert outcome.err.count("\n") == 1


def test_the_catalogue_is_listed(roboyard) -> None:
    assert "Four-legged ant" in roboyard("robot", "list").out


def test_export_writes_the_robot_that_is_simulated_and_says_what_differs(
    roboyard, tmp_path: Path
) -> None:
    outcome = roboyard("robot", "export", str(CASES / "axis_not_unit.urdf"), "-o", "out.urdf")
    assert outcome.code == 0, outcome.err
    assert "note: joint 'ja' (line 5): its axis has length 1" in outcome.err
    text = (tmp_path / "out.urdf").read_text()
    assert '<axis xyz="0.0 1.0 0.0"/>' in text
    again = roboyard("robot", "export", "out.urdf", "--format", "mjcf")
    assert again.code == 0, again.err
    assert again.out.startswith("<mujoco model=")
    assert not again.err


def test_export_of_what_is_no_robot_leaves_nothing_behind(roboyard, tmp_path: Path) -> None:
    outcome = roboyard("robot", "export", str(CASES / "axis_zero.urdf"), "-o", "out.urdf")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert not list(tmp_path.glob("out*"))
    assert "must be urdf or mjcf" in roboyard("robot", "export", "a1", "--format", "usd").err
