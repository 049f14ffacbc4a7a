"""Terms, checked against numbers worked out by hand on a record that is filled by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from roboyard.config.tasks import TermConfig
from roboyard.envs.managers.binding import bind
from roboyard.envs.mdp import OBSERVATIONS, REWARDS, TERMINATIONS, TermSetup
from roboyard.envs.task_env import TaskEnv
from roboyard.errors import ConfigError
from roboyard.robots import RobotState

Value = Callable[..., Any]


@pytest.fixture
def env() -> Iterator[TaskEnv]:
    env = TaskEnv("ant-run")
    env.reset(seed=0)
    yield env
    env.close()


@pytest.fixture
def value(env: TaskEnv) -> Value:
    """Return a call that binds a term to the ant and evaluates it."""

    def evaluate(registry: Any, term: str, **params: Any) -> Any:
        setup = TermSetup(env.robot, env.control_period)
        bound = bind(registry, "terms", "it", TermConfig(term=term, params=params), setup)
        return bound.call(env.state)

    return evaluate


@pytest.fixture
def state(env: TaskEnv) -> RobotState:
    state = env.state
    state.base_position = (1.0, 2.0, 0.5)
    state.initial_base_position = (0.0, 0.0, 0.2)
    state.base_euler = (0.1, -0.2, math.pi / 2)
    state.base_velocity = (3.0, 0.0, 1.0)
    state.joint_velocities = np.arange(8.0)
    state.joint_fractions = np.array([-1.0, -0.5, 0, 0.995, 0.98, 1.2, 0, 0])
    state.action = np.array([1.0, -1, 0, 0, 0, 0, 0, 2])
    state.ground_contacts, state.previous_ground_contacts = {4}, {9}
    return state


def test_height_is_that_of_the_base(state: RobotState, value: Value) -> None:
    assert value(OBSERVATIONS, "base_height", reference=0.1) == pytest.approx(0.4)
    assert value(OBSERVATIONS, "base_height_change") == pytest.approx(0.3)


def test_heading_velocity_is_seen_from_the_robot(state: RobotState, value: Value) -> None:
    """It faces +y and moves along +x: to its right, which is -y in its frame."""
    assert value(OBSERVATIONS, "base_velocity_heading") == pytest.approx((0.0, -3.0, 1.0))


def test_contacts_are_told_for_each_foot_now_or_late(state: RobotState, value: Value) -> None:
    assert value(OBSERVATIONS, "ground_contacts") == [1.0, 0.0, 0.0, 0.0]
    assert value(OBSERVATIONS, "ground_contacts", late=True) == [0.0, 1.0, 0.0, 0.0]


def test_interleaved_joints(state: RobotState, value: Value) -> None:
    values = value(OBSERVATIONS, "joint_fractions_and_velocities", joints=["hip_2", "ankle_2"])
    np.testing.assert_allclose(values, [0.0, 0.2, 0.995, 0.3])


def test_motor_work_is_the_mean_of_torque_times_speed(state: RobotState, value: Value) -> None:
    # |1 * 0| + |-1 * 1| + |2 * 7| = 15, times 0.1, over 8 joints
    assert value(REWARDS, "motor_work") == pytest.approx(15 * 0.1 / 8)
    assert value(REWARDS, "action_square") == pytest.approx((1 + 1 + 4) / 8)
    assert value(REWARDS, "action_size") == pytest.approx((1 + 1 + 2) / 8)


def test_joints_near_their_limits_are_counted(state: RobotState, value: Value) -> None:
    assert value(REWARDS, "joints_at_limit") == 3
    assert value(REWARDS, "joint_stuck", joint="ankle_2") == 1
    assert value(REWARDS, "joint_stuck", joint="ankle_3") == 0


@pytest.mark.parametrize(
    ("params", "is_allowed"),
    [
        ({"min_height": 0.4}, True),
        ({"min_height": 0.5}, False),
        ({"max_pitch": 0.3}, True),
        ({"max_pitch": 0.2}, False),
        ({"no_contact": ["front_left_foot"]}, False),
        ({"no_contact": ["front_left_foot"], "late": True}, True),
        ({"no_contact": ["base"]}, True),
    ],
)
def test_postures(
    params: dict[str, Any], is_allowed: bool, state: RobotState, value: Value
) -> None:
    assert value(REWARDS, "posture", good=2.0, bad=-3.0, **params) == (2 if is_allowed else -3)
    assert value(TERMINATIONS, "fallen", **params) is not is_allowed


def test_progress_is_the_speed_towards_the_target(env: TaskEnv) -> None:
    setup = TermSetup(env.robot, control_period=0.5)
    config = TermConfig(term="progress", params={"target": [10, 0]})
    term = bind(REWARDS, "rewards", "progress", config, setup)
    assert term.memory is not None
    at = lambda x: ((x, 0.0, 0.0), (0, 0, 0, 1), *[(0, 0, 0)] * 6)  # noqa: E731
    for x in (1.0, 1.5):
        env.state.link_rows = [at(x)] * 20
        env.state.base_position = (x, 0.0, 0.5)
        env.state._link_sum = None
        if x == 1.0:
            term.memory.reset(env.state)
    assert term.call(env.state) == pytest.approx(0.5 / 0.5)


def halved_height(state: RobotState, factor: float = 0.5) -> float:
    return factor * state.base_position[2]


class Remembering:
    """A term that lacks what snapshots need."""

    def __init__(self, setup: TermSetup) -> None:
        del setup

    def __call__(self, state: RobotState) -> float:
        return 0.0


def test_a_function_of_ones_own_is_a_term(state: RobotState, value: Value) -> None:
    assert value(REWARDS, f"{__name__}:halved_height") == 0.25
    assert value(REWARDS, f"{__name__}:halved_height", factor=2) == 1.0
    with pytest.raises(ConfigError, match=r"terms\.it\.params\.factr: unknown key.*'factor'"):
        value(REWARDS, f"{__name__}:halved_height", factr=2)


def test_a_class_without_a_memory_to_save_is_refused(value: Value) -> None:
    with pytest.raises(ConfigError, match=r"terms\.it: .*get_state\(\) and set_state"):
        value(REWARDS, f"{__name__}:Remembering")
