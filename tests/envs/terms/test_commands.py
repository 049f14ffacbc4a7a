"""Commands: drawn from their ranges, kept for their interval, exact in snapshots."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from roboyard.config.distributions import ChoiceDistribution, ConstantDistribution, Uniform
from roboyard.envs.mdp import TermSetup
from roboyard.envs.mdp.commands import CommandContext, GaitClock, Point, Velocity
from roboyard.envs.task_env import TaskEnv
from roboyard.errors import ConfigError

PERIOD = 0.0165


@pytest.fixture(scope="module")
def env() -> Iterator[TaskEnv]:
    env = TaskEnv("ant-run")
    env.reset(seed=0)
    yield env
    env.close()


@pytest.fixture
def context(env: TaskEnv) -> CommandContext:
    env.state.base_euler = (0.0, 0.0, 0.0)
    return CommandContext(env.state, np.random.default_rng(0))


@pytest.fixture
def setup(env: TaskEnv) -> TermSetup:
    return TermSetup(env.robot, PERIOD)


def run(command: Any, context: CommandContext, steps: int) -> np.ndarray:
    return np.array([command.reset(context), *(command(context) for _ in range(steps - 1))])


def test_a_velocity_is_kept_for_its_interval_and_then_drawn_anew(
    setup: TermSetup, context: CommandContext
) -> None:
    values = run(Velocity(setup, interval_s=10 * PERIOD), context, 40)
    changes = np.flatnonzero((np.diff(values, axis=0) != 0).any(axis=1)) + 1
    assert changes.tolist() == [10, 20, 30]


def test_velocities_come_from_their_ranges(setup: TermSetup, context: CommandContext) -> None:
    command = Velocity(
        setup,
        forward=Uniform(low=0, high=2),
        sideways=0.3,
        turning=ChoiceDistribution(type="choice", values=(-1, 1)),
        interval_s=PERIOD,
    )
    values = run(command, context, 2000)
    assert values[:, 0].min() >= 0
    assert values[:, 0].max() <= 2
    assert values[:, 0].mean() == pytest.approx(1.0, abs=0.05)
    assert (values[:, 1] == 0.3).all()
    assert set(values[:, 2].tolist()) == {-1.0, 1.0}


def test_the_standing_share_stands(setup: TermSetup, context: CommandContext) -> None:
    values = run(Velocity(setup, interval_s=PERIOD, standing_share=0.3), context, 3000)
    assert (values == 0).all(axis=1).mean() == pytest.approx(0.3, abs=0.03)


def test_the_heading_is_followed_by_half_of_the_angle_that_is_left(
    setup: TermSetup, context: CommandContext
) -> None:
    command = Velocity(setup, heading=ConstantDistribution(type="constant", value=1.0))
    context.state.base_euler = (0.0, 0.0, 0.4)
    assert command.reset(context)[2] == pytest.approx(0.3)
    context.state.base_euler = (0.0, 0.0, 0.5 - math.pi)  # the short way is to the right
    assert command(context)[2] == -1.0
    context.state.base_euler = (0.0, 0.0, -2.0)
    assert command(context)[2] == 1.0


def test_points_can_be_told_from_where_the_robot_began(
    setup: TermSetup, context: CommandContext
) -> None:
    context.state.initial_base_position = (5.0, -1.0, 0.3)
    point = Point(setup, x=1.0, y=2.0, z=0.5, from_start=True)
    assert point.reset(context).tolist() == [6.0, 1.0, 0.5]


def test_a_trot_lifts_diagonal_feet_together(setup: TermSetup, context: CommandContext) -> None:
    clock = GaitClock(setup, period_s=8 * PERIOD, random_start=False)
    values = run(clock, context, 9)
    np.testing.assert_allclose(values[0], [0, 1, 0, -1, 0, -1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(values[2], [1, 0, -1, 0, -1, 0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(values[8], values[0], atol=1e-12)


@pytest.mark.parametrize("kind", ["velocity", "point", "gait"])
def test_a_command_goes_on_exactly_from_its_state(
    kind: str, setup: TermSetup, context: CommandContext
) -> None:
    def make() -> Any:
        interval = Uniform(low=2 * PERIOD, high=5 * PERIOD)
        if kind == "velocity":
            return Velocity(setup, interval_s=interval, heading=Uniform(low=-3, high=3))
        if kind == "point":
            return Point(setup, x=Uniform(low=0, high=1), y=0.0, interval_s=interval)
        return GaitClock(setup)

    command, other = make(), make()
    run(command, context, 13)
    other.set_state(command.get_state())
    first = CommandContext(context.state, np.random.default_rng(5))
    second = CommandContext(context.state, np.random.default_rng(5))
    for _ in range(20):
        np.testing.assert_array_equal(command(first), other(second))


def test_the_reward_belongs_to_the_command_that_the_policy_saw() -> None:
    """The command changes in every step; what the policy last saw is what is rewarded."""
    env = TaskEnv("a1-velocity", overrides={
        "commands": {"velocity": {"params": {"interval_s": 0.02, "standing_share": 0}}},
        "rewards": {"error": {"term": "velocity_error", "weight": 1e-9}},
    })  # fmt: skip
    env.reset(seed=0)
    for _ in range(5):
        seen = env.state.commands["velocity"].copy()
        info = env.step(np.zeros(12))[4]
        now = env.state.commands["velocity"]
        assert not np.array_equal(now, seen)
        assert info["commands"]["velocity"] == now.tolist()
        env.state.commands["velocity"] = seen
        error = next(t for t in env.rewards.terms if t.name == "error").call(env.state)
        assert info["reward_terms"]["error"] == pytest.approx(1e-9 * error)
        env.state.commands["velocity"] = now
    env.close()


def test_a_function_cannot_be_a_command() -> None:
    wrong = {"commands": {"wish": {"term": "math:hypot"}}}
    with pytest.raises(ConfigError, match=r"commands\.wish"):
        TaskEnv("ant-run", overrides=wrong)
