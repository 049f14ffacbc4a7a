"""Effort and velocity limits of descriptions hold, and old records keep their meaning."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from roboyard.config.robots import RobotSpec
from roboyard.robots import Robot, load_robot
from roboyard.sim import World

CASE = Path(__file__).parents[1] / "data" / "robots" / "mimic_plain.urdf"
NEW = ("compat", "merge_fixed", "packages")


def spec(control: str, compat: bool = False) -> RobotSpec:
    group = {"joints": ["ja"], "control": control, "scale": 1000.0}
    return load_robot({"file": str(CASE), "compat": compat, "actuators": [group]})


def torque(compat: bool) -> float:
    with World() as world:
        robot = Robot(world, spec("torque", compat))
        robot.command(np.ones(1))
        return float(robot.actuators[0].torques[0])


def test_torque_control_has_the_description_s_effort_limit_unless_compat() -> None:
    assert torque(compat=False) == 10.0
    assert torque(compat=True) == 1000.0


def test_velocity_control_aims_no_higher_than_the_description_s_limit() -> None:
    with World() as world:
        robot = Robot(world, spec("velocity"))
        assert robot.actuators[0].velocity_limit.tolist() == [5.0]  # type: ignore[attr-defined]


def test_a_complete_record_of_an_earlier_version_is_compat() -> None:
    record = spec("torque").model_dump(mode="json")
    old = {key: value for key, value in record.items() if key not in NEW}
    assert RobotSpec.model_validate_json(json.dumps(old), strict=True).compat
    assert not RobotSpec.model_validate_json(json.dumps(record), strict=True).compat
    by_hand = {"file": str(CASE), "actuators": old["actuators"]}
    assert not RobotSpec.model_validate(by_hand).compat
