"""Robots from specs: names, initial state, actuators, and one clear error for each slip."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from roboyard.errors import ConfigError, RobotDescriptionError
from roboyard.robots import Robot, RobotState, list_robots, load_robot
from roboyard.robots.reading import LINK_MOTION, LINKS
from roboyard.sim import World

CART = {
    "file": "pybullet_data:cartpole.urdf",
    "fixed_base": True,
    "actuators": [{"joints": ["slider_to_cart"], "scale": 10}],
}


@pytest.fixture
def world() -> Iterator[World]:
    with World() as world:
        yield world


@pytest.mark.parametrize("name", list_robots())
def test_every_robot_of_the_catalogue_loads(name: str, world: World) -> None:
    robot = Robot(world, load_robot(name))
    assert len(set(robot.action_names)) == len(robot.action_names) > 0
    pushed = sum(a.config.control == "thrust" for a in robot.actuators)
    assert pushed or len(robot.actuated) == len(robot.action_names)


def test_actions_become_torques_by_scale(world: World) -> None:
    robot = Robot(world, load_robot("walker2d"))
    robot.command(np.ones(6))
    np.testing.assert_allclose(robot.actuators[0].torques, [40, 40, 12, 40, 40, 12])


def test_a_torque_accelerates_the_cart_as_newton_says(world: World) -> None:
    robot = Robot(world, load_robot(CART))
    state = RobotState(robot, control_period=1 / 240)
    robot.command(np.array([1.0]))
    robot.drive()
    world.step()
    state.read()
    # 10 N on a cart of 1 kg and a pole of 10 kg: between both together and the cart alone.
    velocity = state.joint_velocities[robot.joint_names.index("slider_to_cart")]
    assert 10 / 11 / 240 < velocity < 10 / 240


def test_pd_torques_follow_the_error_and_stop_at_the_limit(world: World) -> None:
    actuator = {
        "joints": ["slider_to_cart"], "control": "pd", "scale": 2.0, "stiffness": 50.0,
        "damping": 1.0, "effort_limit": 30.0,
    }  # fmt: skip
    robot = Robot(world, load_robot({**CART, "actuators": [actuator]}))
    for action, torque in ((0.1, 10.0), (1.0, 30.0), (-1.0, -30.0)):
        robot.command(np.array([action]))
        robot.drive()
        assert robot.actuators[0].torques[0] == pytest.approx(torque)


def test_position_control_reaches_its_target(world: World) -> None:
    actuator = {"joints": ["slider_to_cart"], "control": "position", "offset": 0.1, "scale": 0.2}
    robot = Robot(world, load_robot({**CART, "actuators": [actuator]}))
    state = RobotState(robot, control_period=1 / 240)
    robot.command(np.array([0.5]))
    for _ in range(1000):
        robot.drive()
        world.step()
    state.read()
    assert state.joint_positions[0] == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("control", ["position", "velocity"])
def test_motors_aim_at_no_more_than_the_velocity_limit(control: str, world: World) -> None:
    actuator = {"joints": ["slider_to_cart"], "control": control, "scale": 4.0,
                "velocity_limit": 0.5}  # fmt: skip
    robot = Robot(world, load_robot({**CART, "actuators": [actuator]}))
    state = RobotState(robot, control_period=1 / 240)
    robot.command(np.array([1.0]))
    speeds = []
    for _ in range(240):
        robot.drive()
        world.step()
        state.read()
        speeds.append(state.joint_velocities[0])
    assert max(speeds) == pytest.approx(0.5, abs=0.01)
    assert state.joint_positions[0] == pytest.approx(0.5, abs=0.02)  # a second later


def test_initial_positions_hold_after_loading(world: World) -> None:
    robot = Robot(world, load_robot({**CART, "joint_positions": {"cart_*": 0.3}}))
    state = RobotState(robot, control_period=0.01)
    state.read()
    assert state.joint_positions[robot.joint_names.index("cart_to_pole")] == pytest.approx(0.3)


def test_velocities_of_links_are_read_only_where_they_are_asked_for(world: World) -> None:
    robot = Robot(world, load_robot("ant"))
    poses, motion = (
        RobotState(robot, control_period=0.01, parts=frozenset({part}))
        for part in (LINKS, LINK_MOTION)
    )
    world.step()
    poses.read()
    motion.read()
    assert poses.link_centers == motion.link_centers
    assert all(row == full[:6] for row, full in zip(poses.link_rows, motion.link_rows, strict=True))
    assert min(z for _, _, z in motion.link_velocities) < 0.0  # it falls


def test_the_first_pattern_that_matches_counts(world: World) -> None:
    robot = Robot(world, load_robot({**CART, "joint_positions": {"cart_to_pole": 0.1, "*": 0.2}}))
    assert robot.initial_positions.tolist() == [0.2, 0.1]


BAD = [
    ({"file": "pybullet_data:cartpol.urdf"}, "cartpol.urdf", "Did you mean 'cartpole.urdf'?"),
    ({"file": "package:nowhere/x.urdf"}, "nowhere", "install it"),
    ({"actuators": []}, "actuators", ""),
    ({"actuators": [{"joints": ["slider"]}]}, "actuators.0", "Did you mean 'slider_to_cart'?"),
    ({"actuators": [{"joints": ["*"]}, {"joints": ["slider*"]}]}, "actuators", "more than one"),
    ({"actuators": [{"joints": ["*"], "control": "pd"}]}, "actuators.0", "needs stiffness"),
    ({"actuators": [{"joints": ["*"], "velocity_limit": 1}]}, "actuators.0", "no velocity_limit"),
    ({"actuators": [{"joints": ["*"], "scale": {"arm": 1}}]}, "actuators.0.scale", "'arm'"),
    ({"file": "pybullet_data:cube.urdf"}, "actuators.0", "There are: none"),
    ({"joint_positions": {"*": "up"}}, "joint_positions", ""),
    ({"scale": -1}, "scale", ""),
    ({"joints": {"wrist": {"damping": 1}}}, "joints", "no joint matches 'wrist'"),
    ({"ignored_joints": ["root*"]}, "ignored_joints", "no joint matches 'root*'"),
    ({"file": "pybullet_data:cube.obj"}, "cube.obj", ""),
    ({"feet": ["toe"]}, "feet", "no link matches 'toe'"),
    ({"base_link": "p*e*"}, "base_link", ""),
    ({"links": {"hand": {"mass": 1}}}, "links", "no link matches 'hand'"),
    ({"joint_positions": {"knee": 1}}, "joint_positions", "no joint matches 'knee'"),
    ({"joint_positions": {"*": float("nan")}}, "joint_positions", ""),
    ({"body": "hand"}, "body", "no body has a link 'hand'"),
    ({"fixd_base": True}, "fixd_base", "Did you mean 'fixed_base'?"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "place", "hint"), BAD, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_named(
    change: dict[str, object], place: str, hint: str, world: World
) -> None:
    if "base_link" in change:
        change = {"base_link": "*"}
        hint = "name one of them"
    with pytest.raises((RobotDescriptionError, ConfigError)) as caught:
        Robot(world, load_robot({**CART, **change}))
    assert place in str(caught.value)
    assert hint in str(caught.value)


def test_an_unknown_robot_is_an_error() -> None:
    with pytest.raises(RobotDescriptionError, match="Did you mean 'hopper'"):
        load_robot("hoper")
