"""Robot environments that step side by side."""

import time

import gymnasium
import numpy as np
import pytest

from roboyard.config.schema import EnvConfig
from roboyard.envs import SimpleRobotEnv
from roboyard.envs.factory import make_env
from roboyard.envs.timing import work_time
from roboyard.envs.vector.lockstep import can_step_together, step_together
from roboyard.errors import SimulationError

NUM_ENVS = 3


class LoudEnv(SimpleRobotEnv):
    """One whose step does something of its own."""

    def step(self, action):
        return super().step(2.0 * action)


def started(name, **settings):
    config = EnvConfig(id=name, **settings)
    envs = [make_env(config) for _ in range(NUM_ENVS)]
    for seed, env in enumerate(envs):
        env.reset(seed=seed)
    return envs


def drawn(envs, steps):
    draw = np.random.default_rng(0)
    size = envs[0].action_space.shape[0]
    return draw.uniform(-1.5, 1.5, (steps, NUM_ENVS, size)).astype(np.float32)


@pytest.mark.parametrize("name", ["SimpleRobot", "hopper-run", "panda-reach", "a1-velocity"])
def test_steps_side_by_side_are_those_made_one_after_the_other(name):
    alone, together = (started(name, max_episode_steps=12) for _ in range(2))
    assert can_step_together(together)
    for actions in drawn(alone, 40):
        results = step_together(together, actions, lambda number: None)
        for one, other, action, result in zip(alone, together, actions, results, strict=True):
            expected = one.step(action)
            np.testing.assert_equal(result, expected)
            if expected[2] or expected[3]:
                # At once, while the others' results are not asked for yet.
                np.testing.assert_equal(other.reset(), one.reset())
    for one, other in zip(alone, together, strict=True):
        assert one.snapshot() == other.snapshot()


def test_environments_with_a_step_of_their_own_and_wrapped_ones_step_alone():
    robot = SimpleRobotEnv()
    assert not can_step_together([robot, LoudEnv()])
    assert not can_step_together([robot, gymnasium.wrappers.TimeLimit(SimpleRobotEnv(), 5)])


def test_it_is_told_which_environment_an_error_comes_from():
    envs = started("SimpleRobot")
    entered = []
    actions = np.array([[0.0], [np.nan], [0.0]])
    with pytest.raises(SimulationError, match="finite"):
        list(step_together(envs, actions, entered.append))
    assert entered[-1] == 1


def test_the_time_of_all_parts_of_a_step_counts_once():
    envs = started("hopper-run")
    for env in envs:
        work_time(env)
    (actions,) = drawn(envs, 1)
    list(step_together(envs, actions, lambda number: None))
    for env, action in zip(envs, actions, strict=True):
        before = work_time(env)
        assert 0.0 < before.physics_s < before.total_s
        start = time.perf_counter()
        env.step(action)
        spent = time.perf_counter() - start
        after = work_time(env)
        assert before.total_s < after.total_s <= before.total_s + spent
        assert before.physics_s < after.physics_s
