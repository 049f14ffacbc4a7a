"""The catalogue's robots start in a sane pose and hold it under their own control."""

from __future__ import annotations

import numpy as np
import pytest

from roboyard.robots import Robot, RobotState, list_robots, load_robot
from roboyard.robots.inspect import inspect_robot
from roboyard.sim import World

STANDING = ("a1", "husky", "laikago", "minitaur", "racecar")
ARMS = ("kuka_iiwa", "panda", "xarm6")
FLOOR_MARGIN = 0.1  # feet of the MJCF walkers, whose margins are wide, sink in [m]
GROUNDLESS = ("pendulum5", "cartpole", "double_pendulum", "reacher")


def test_what_pybullet_ships_is_in_the_catalogue() -> None:
    wanted = {"ant", "halfcheetah", "hopper", "humanoid", "walker2d", *STANDING, *ARMS, *GROUNDLESS}
    assert wanted <= set(list_robots())


@pytest.mark.parametrize("name", list_robots())
def test_a_robot_holds_out_for_a_second(name: str) -> None:
    with World() as world:
        ground = name not in GROUNDLESS
        if ground:
            world.load_plane()
        robot = Robot(world, load_robot(name))
        state = RobotState(robot, control_period=1 / 240)
        state.begin()
        start = state.base_position
        robot.command(np.zeros(len(robot.action_names)))
        for _ in range(240):
            robot.drive()
            world.step()
        state.read()
        assert np.isfinite([*state.joint_positions, *state.base_position]).all()
        if ground:
            assert world.bounds(robot.body).lower[2] > -FLOOR_MARGIN
        error = np.abs(state.joint_positions - robot.initial_positions)[robot.actuated]
        if name in STANDING:
            assert state.base_position[2] > 0.85 * start[2]
            assert np.abs(state.base_euler[:2]).max() < 0.1
            assert np.abs(state.base_velocity).max() < 0.05
            assert error.max() < 0.12
        if name in ARMS:
            assert error.max() < 0.01


@pytest.mark.parametrize("name", [*STANDING, *ARMS])
def test_a_robot_starts_neither_below_the_ground_nor_inside_itself(name: str) -> None:
    for warning in inspect_robot(name).warnings:
        assert "below the ground" not in warning
        assert "overlap" not in warning
        assert "beyond the limits" not in warning


@pytest.mark.parametrize("name", [*STANDING, *ARMS])
def test_every_action_entry_moves_its_joint(name: str) -> None:
    with World() as world:
        robot = Robot(world, load_robot(name))
        state = RobotState(robot, control_period=1 / 240)
        saved = world.save()
        for entry, index in enumerate(robot.actuated):
            world.restore(saved)
            state.begin()
            start = state.joint_positions[index]
            robot.command(np.eye(len(robot.actuated))[entry])
            for _ in range(30):
                robot.drive()
                world.step()
            state.read()
            assert state.joint_positions[index] - start > 0.005
