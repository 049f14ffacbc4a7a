"""The general terms, on a record that is filled by hand: every expected number is worked out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roboyard.config.tasks import TermConfig
from roboyard.envs.managers.binding import BoundTerm, bind
from roboyard.envs.managers.managers import TerminationManager
from roboyard.envs.mdp import COMMANDS, EVENTS, OBSERVATIONS, REWARDS, TERMINATIONS, TermSetup
from roboyard.envs.mdp.geometry import centroid
from roboyard.envs.task_env import TaskEnv
from roboyard.errors import ConfigError, RobotDescriptionError
from roboyard.robots import RobotState

Value = Callable[..., Any]
HALF = math.sqrt(0.5)
FACING_Y = (0.0, 0.0, HALF, HALF)
ON_ITS_RIGHT_SIDE = (HALF, 0.0, 0.0, HALF)
PERIOD = 0.0165


@pytest.fixture(scope="module")
def env() -> Iterator[TaskEnv]:
    env = TaskEnv("ant-run")
    yield env
    env.close()


@pytest.fixture
def state(env: TaskEnv) -> RobotState:
    env.reset(seed=0)
    state = env.state
    state.base_position, state.base_orientation = (1.0, 2.0, 0.5), (0.0, 0.0, 0.0, 1.0)
    state.commands = {"velocity": np.array([1.0, 0.0, 0.5]), "point": np.array([1.0, 5.0, 0.5])}
    return state


@pytest.fixture
def term(env: TaskEnv) -> Callable[..., BoundTerm]:
    setup = TermSetup(env.robot, env.control_period, ("cube",), ("velocity", "point", "gait"))

    def make(registry: Any, name: str, /, **params: Any) -> BoundTerm:
        return bind(registry, "terms", "it", TermConfig(term=name, params=params), setup)

    return make


@pytest.fixture
def value(state: RobotState, term: Callable[..., BoundTerm]) -> Value:
    return lambda registry, name, /, **params: term(registry, name, **params).call(state)


def test_velocity_is_seen_from_a_robot_that_faces_y(state: RobotState, value: Value) -> None:
    state.base_orientation, state.base_velocity = FACING_Y, (0.0, 2.0, 0.5)
    assert value(OBSERVATIONS, "base_linear_velocity") == pytest.approx((2.0, 0.0, 0.5))
    assert value(OBSERVATIONS, "base_linear_velocity", frame="world") == (0.0, 2.0, 0.5)
    state.base_angular_velocity = (1.0, 0.0, 0.0)
    assert value(OBSERVATIONS, "base_angular_velocity") == pytest.approx((0.0, -1.0, 0.0))


def test_gravity_points_down_and_to_the_side_of_a_robot_that_lies_on_it(
    state: RobotState, value: Value
) -> None:
    assert value(OBSERVATIONS, "projected_gravity") == (0.0, 0.0, -1.0)
    assert value(REWARDS, "upright") == 1.0
    assert value(REWARDS, "tilt") == 0.0
    state.base_orientation = ON_ITS_RIGHT_SIDE
    assert value(OBSERVATIONS, "projected_gravity") == pytest.approx((0.0, -1.0, 0.0))
    assert value(REWARDS, "upright") == pytest.approx(0.0)
    assert value(REWARDS, "tilt") == pytest.approx(1.0)


@pytest.mark.parametrize(("lean", "is_over"), [(0.4, False), (0.6, True), (3.0, True)])
def test_tilt_ends_the_episode(lean: float, is_over: bool, state: RobotState, value: Value) -> None:
    state.base_orientation = (math.sin(lean / 2), 0.0, 0.0, math.cos(lean / 2))
    assert value(TERMINATIONS, "tilted", limit=0.5) is is_over


def test_an_orientation_has_one_form(state: RobotState, value: Value) -> None:
    state.base_orientation = (0.0, 0.0, -HALF, -HALF)
    assert value(OBSERVATIONS, "base_orientation") == FACING_Y


def test_heights_are_above_the_ground_below(state: RobotState, value: Value) -> None:
    state.ground_height = lambda x, y: 0.1 * x + 0.01 * y
    assert value(OBSERVATIONS, "base_clearance") == pytest.approx(0.5 - 0.12)
    assert value(REWARDS, "height_error", target=0.3) == pytest.approx(0.08**2)
    assert value(TERMINATIONS, "too_low", limit=0.4) is True
    assert value(TERMINATIONS, "too_low", limit=0.3) is False
    assert value(OBSERVATIONS, "foot_heights", links=["base"]) == pytest.approx([0.38])


def test_joints_are_told_relative_to_the_start_with_the_encoder_s_offset(
    state: RobotState, value: Value
) -> None:
    state.joint_positions = state.robot.initial_positions + 0.3
    state.encoder_offsets = np.full(8, 0.02)
    np.testing.assert_allclose(value(OBSERVATIONS, "joint_positions_relative"), 0.32)
    assert value(REWARDS, "posture_error") == pytest.approx(8 * 0.3)


def test_actions_and_commands_are_told(state: RobotState, value: Value) -> None:
    state.previous_action, state.action = np.zeros(8), np.arange(8.0)
    np.testing.assert_array_equal(value(OBSERVATIONS, "last_action"), np.arange(8))
    np.testing.assert_array_equal(value(OBSERVATIONS, "previous_action"), np.zeros(8))
    np.testing.assert_array_equal(value(OBSERVATIONS, "command", name="velocity"), [1, 0, 0.5])
    assert value(REWARDS, "action_rate") == 0 + 1 + 4 + 9 + 16 + 25 + 36 + 49


def test_points_and_objects_are_seen_from_the_body(state: RobotState, value: Value) -> None:
    """It faces +y; the point is 3 m ahead."""
    state.base_orientation = FACING_Y
    state.objects = {"cube": (0.0, 2.0, 0.5)}
    assert value(OBSERVATIONS, "point_in_body", name="point") == pytest.approx((3, 0, 0))
    assert value(OBSERVATIONS, "object_in_body", name="cube") == pytest.approx((0, 1, 0))
    assert value(REWARDS, "distance", link="base", name="cube") == pytest.approx(1.0)
    assert value(REWARDS, "point_distance", link="base", name="point") == pytest.approx(3.0)
    assert value(REWARDS, "nearness", link="base", name="cube", width=1) == pytest.approx(
        1 - math.tanh(1)
    )
    assert value(REWARDS, "success", link="base", name="cube", tolerance=1.1) == 1.0
    assert value(TERMINATIONS, "reached", link="base", name="cube", tolerance=0.9) is False
    assert value(TERMINATIONS, "point_reached", link="base", name="point", tolerance=3.1) is True


def test_tracking_falls_to_1_over_e_at_the_width(state: RobotState, value: Value) -> None:
    state.base_velocity, state.base_angular_velocity = (1.0, 0.0, 9.0), (0.0, 0.0, 0.5)
    assert value(REWARDS, "track_linear_velocity") == 1.0
    assert value(REWARDS, "track_turning") == 1.0
    state.base_velocity, state.base_angular_velocity = (0.7, 0.4, 0.0), (0.0, 0.0, 1.0)
    assert value(REWARDS, "track_linear_velocity") == pytest.approx(math.exp(-1))
    assert value(REWARDS, "velocity_error") == pytest.approx(0.5)
    assert value(REWARDS, "track_turning") == pytest.approx(math.exp(-1))
    assert value(REWARDS, "track_turning", width=1) == pytest.approx(math.exp(-0.25))


def test_unwanted_motion_costs_its_square(state: RobotState, value: Value) -> None:
    state.base_velocity, state.base_angular_velocity = (5.0, 0.0, 0.3), (0.3, 0.4, 7.0)
    assert value(REWARDS, "vertical_velocity") == pytest.approx(0.09)
    assert value(REWARDS, "rocking") == pytest.approx(0.25)
    assert value(REWARDS, "forward_velocity") == pytest.approx(5.0)
    assert value(REWARDS, "forward_velocity", limit=2) == pytest.approx(2.0)


def test_efforts(state: RobotState, value: Value) -> None:
    torques = np.zeros(8)
    torques[:2] = 3.0, -4.0
    state.robot.actuators[0].torques[:] = torques
    first, second = state.robot.actuated[:2]
    state.joint_velocities = np.zeros(8)
    state.joint_velocities[[first, second]] = 2.0, 1.0
    np.testing.assert_array_equal(value(OBSERVATIONS, "joint_efforts"), torques)
    assert value(REWARDS, "torque_square") == 9 + 16
    assert value(REWARDS, "power") == 6 + 4
    assert value(REWARDS, "power", recovers=True) == 6 - 4
    assert value(REWARDS, "joint_velocity_square") == 5.0


def test_accelerations_are_changes_over_the_control_step(state: RobotState, value: Value) -> None:
    state.previous_joint_velocities = np.zeros(8)
    state.joint_velocities = np.full(8, 0.33)
    np.testing.assert_allclose(value(OBSERVATIONS, "joint_accelerations"), 0.33 / PERIOD)
    assert value(REWARDS, "joint_acceleration_square") == pytest.approx(8 * 20.0**2)


def test_joints_beyond_the_soft_range_cost_the_excess_in_radians(
    state: RobotState, value: Value
) -> None:
    state.joint_fractions = np.zeros(8)
    state.joint_fractions[[0, 3]] = 0.95, -1.0
    half = (state.robot.upper - state.robot.lower) / 2
    expected = 0.05 * half[0] + 0.10 * half[3]
    assert value(REWARDS, "joint_limit_excess", soft=0.9) == pytest.approx(expected)


def test_a_foot_that_lands_is_rewarded_for_its_time_in_the_air(
    state: RobotState, term: Callable[..., BoundTerm]
) -> None:
    foot = state.robot.feet[0]
    air_time = term(REWARDS, "foot_air_time", links=["front_left_foot"], threshold=0.1)
    assert air_time.memory is not None
    air_time.memory.reset(state)
    state.ground_contacts = frozenset()
    assert [air_time.call(state) for _ in range(10)] == [0.0] * 10
    kept = air_time.memory.get_state()
    state.ground_contacts = {foot}
    assert air_time.call(state) == pytest.approx(10 * PERIOD - 0.1)
    assert air_time.call(state) == 0.0
    air_time.memory.set_state(kept)
    assert air_time.call(state) == pytest.approx(10 * PERIOD - 0.1)


def test_only_feet_on_the_ground_can_slip(state: RobotState, value: Value) -> None:
    still, sliding = ((0.0,) * 3, (0, 0, 0, 1), *[(0.0,) * 3] * 4), None
    sliding = (*still[:6], (0.3, 0.4, 9.0), (0.0,) * 3)
    state.link_rows = [sliding] * len(state.robot.link_names)
    state.ground_contacts = {state.robot.feet[1]}
    assert value(REWARDS, "foot_slip") == pytest.approx(0.25)


def test_contacts(state: RobotState, value: Value) -> None:
    first, second, *_ = state.robot.feet
    state.contact_forces = {first: 130.0, second: 0.5}
    assert value(OBSERVATIONS, "contact_forces") == [130.0, 0.5, 0.0, 0.0]
    assert value(REWARDS, "undesired_contacts", links=["@feet"]) == 1.0
    assert value(REWARDS, "contact_force_excess", limit=100) == pytest.approx(30.0)
    assert value(TERMINATIONS, "illegal_contact", links=["@feet"]) is True
    assert value(TERMINATIONS, "illegal_contact", links=["base"]) is False


def test_standing_still_counts_only_while_it_is_asked_for(state: RobotState, value: Value) -> None:
    state.joint_positions = state.robot.initial_positions + 0.1
    assert value(REWARDS, "stand_still") == 0.0
    state.commands["velocity"][:] = 0.0
    assert value(REWARDS, "stand_still") == pytest.approx(0.8)


def test_the_gait_is_matched_foot_by_foot(state: RobotState, value: Value) -> None:
    state.commands["gait"] = np.array([1.0, 0, 1.0, 0, -1.0, 0, -1.0, 0])
    state.ground_contacts = {state.robot.feet[0], state.robot.feet[2]}
    assert value(REWARDS, "gait_match") == pytest.approx(2 / 4)


def test_a_gait_for_another_number_of_feet_is_an_error(state: RobotState, value: Value) -> None:
    state.commands["gait"] = np.array([1.0, 0, 1.0, 0])
    with pytest.raises(ConfigError, match="has 2 phases and there are 4 feet"):
        value(REWARDS, "gait_match")


def test_an_end_that_is_no_cut_any_more_is_none() -> None:
    manager = object.__new__(TerminationManager)
    answers = iter([True, False])
    manager._calls = [("fallen", lambda _: next(answers))]
    manager._cuts = frozenset({"fallen"})
    assert manager.compute(None) is False
    assert manager.is_cut
    assert manager.compute(None) is False
    assert not manager.is_cut


def test_bounds_and_time(state: RobotState, value: Value) -> None:
    assert value(TERMINATIONS, "out_of_bounds", high=[2, None, None]) is False
    assert value(TERMINATIONS, "out_of_bounds", high=[0.9, None, None]) is True
    assert value(TERMINATIONS, "out_of_bounds", low=[None, None, 0.6]) is True
    state.initial_base_position = (1.0, 0.0, 0.0)
    assert value(TERMINATIONS, "wandered_off", limit=1.9) is True
    assert value(TERMINATIONS, "wandered_off", limit=2.1) is False
    state.step = 10
    assert value(TERMINATIONS, "time_limit", seconds=10 * PERIOD) is True
    assert value(TERMINATIONS, "time_limit", seconds=11 * PERIOD) is False
    state.joint_velocities = np.array([0, 0, 0, -9.0, 0, 0, 0, 0])
    assert value(TERMINATIONS, "joint_too_fast", limit=8) is True


def test_every_registered_term_says_what_it_is() -> None:
    for registry in (OBSERVATIONS, REWARDS, TERMINATIONS):
        for name in registry.names():
            assert registry.resolve(name).__doc__, name


def test_a_command_or_object_that_the_task_lacks_is_an_error(value: Value) -> None:
    with pytest.raises(ConfigError, match=r"terms\.it\.name: .* no command 'velocty'.*velocity'"):
        value(OBSERVATIONS, "command", name="velocty")
    with pytest.raises(ConfigError, match=r"terms\.it\.name: the task has no object 'ball'"):
        value(REWARDS, "distance", link="base", name="ball")


def test_feet_are_needed_where_a_term_is_about_feet() -> None:
    extra = {"rewards": {"slip": {"term": "foot_slip"}}}
    with pytest.raises(RobotDescriptionError, match=r"rewards\.slip.*has no feet"):
        TaskEnv("reacher", overrides=extra)


def test_the_library_is_documented_by_name() -> None:
    text = (Path(__file__).parents[3] / "docs" / "tasks.md").read_text()
    documented = set(re.findall(r"`(\w+)`", text))
    used_by_the_peer_s_tasks = {"constant", "posture", "joint_stuck", "joint_upright"}
    for registry in (OBSERVATIONS, REWARDS, TERMINATIONS, EVENTS, COMMANDS):
        assert set(registry.names()) - documented <= used_by_the_peer_s_tasks


def test_errors_of_a_velocity_are_told_apart(state: RobotState, value: Value) -> None:
    state.base_velocity, state.base_angular_velocity = (0.7, 0.4, 0.0), (0.0, 0.0, 0.2)
    assert value(REWARDS, "velocity_error") == pytest.approx(0.5)  # of (0.3, 0.4)
    assert value(REWARDS, "forward_velocity_error") == pytest.approx(0.3)
    assert value(REWARDS, "turning_error") == pytest.approx(0.3)
    state.base_orientation = FACING_Y  # forwards is now y
    assert value(REWARDS, "forward_velocity_error") == pytest.approx(0.6)


def test_roll_and_pitch_are_the_first_two_angles(state: RobotState, value: Value) -> None:
    state.base_euler = (0.1, -0.2, 3.0)
    assert value(OBSERVATIONS, "base_roll_pitch") == (0.1, -0.2)


def test_a_joint_has_a_direction_and_a_bound(env: TaskEnv, state: RobotState, value: Value) -> None:
    name = env.robot.joint_names[0]
    state.joint_positions = np.zeros(len(env.robot.joints))
    state.joint_positions[0] = math.pi / 6
    direction = value(OBSERVATIONS, "joint_direction", joint=name, factor=2.0)
    assert direction == pytest.approx((0.5, math.sin(math.pi / 3)))
    assert value(TERMINATIONS, "joint_beyond", joint=name, limit=0.5)
    assert not value(TERMINATIONS, "joint_beyond", joint=name, limit=0.6)


def test_a_target_to_the_left_is_at_a_quarter(state: RobotState, value: Value) -> None:
    state.base_euler = (0.0, 0.0, 0.0)
    x, y = centroid(state)
    heading = value(OBSERVATIONS, "target_heading", target=[x, y + 3.0])
    assert heading == pytest.approx((1.0, 0.0), abs=1e-9)


def test_torques_beyond_a_share_of_their_limit_count(
    env: TaskEnv, state: RobotState, value: Value
) -> None:
    (actuator,) = env.robot.actuators
    limits = actuator.effort_limit.copy()
    actuator.effort_limit[:] = 100.0
    actuator.torques[:] = [95.0, -99.0, *[10.0] * (len(limits) - 2)]
    excess = value(REWARDS, "torque_limit_excess", soft=0.9)
    actuator.effort_limit[:] = limits
    assert excess == pytest.approx(0.05 + 0.09)
