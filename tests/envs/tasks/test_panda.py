"""The manipulation tasks: goals, inverse kinematics, objects, and exactness as elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
import pytest

from roboyard.config.schema import EnvConfig
from roboyard.envs.task_env import TaskEnv
from roboyard.envs.vector.factory import make_vec_env
from roboyard.errors import ConfigError, RobotDescriptionError
from roboyard.testing.env_conformance import EnvConformance

TASKS = ("panda-reach", "panda-push", "panda-pick-and-place")
Obs = dict[str, np.ndarray]


@pytest.fixture(params=TASKS)
def env(request: pytest.FixtureRequest) -> Iterator[TaskEnv]:
    with closing(TaskEnv(request.param)) as env:
        yield env


def play(env: TaskEnv, policy: Callable[[Obs, int], Any], seed: int) -> tuple[Obs, dict[str, Any]]:
    """Run an episode and return its last observation and info."""
    observation, _ = env.reset(seed=seed)
    done, step, info = False, 0, {}
    while not done:
        action = np.zeros(env.action_space.shape, np.float32)
        chosen = policy(observation, step)  # type: ignore[arg-type]
        action[: len(chosen)] = np.clip(chosen, -1, 1)
        observation, _, terminated, truncated, info = env.step(action)
        done, step = terminated or truncated, step + 1
    return observation, info  # type: ignore[return-value]


class TestPickAndPlace(EnvConformance):
    config = EnvConfig(id="panda-pick-and-place")
    steps = 14


@pytest.mark.slow
class TestReach(EnvConformance):
    config = EnvConfig(id="panda-reach")


@pytest.mark.slow
class TestPushWithCurriculumAndRandomization(EnvConformance):
    config = EnvConfig(
        id="panda-push",
        kwargs={
            "overrides": {
                "events": {
                    "stuff": {
                        "term": "randomize_object",
                        "params": {
                            "name": "cube",
                            "mass": {"type": "uniform", "low": 0.5, "high": 2.0},
                            "friction": {"type": "uniform", "low": 0.2, "high": 1.0},
                        },
                    }
                },
                "acting": {"delay_steps": 1, "noise": {"type": "normal", "std": 0.05}},
                "max_episode_steps": 20,
            }
        },
    )


def test_goals_are_registered_with_gymnasium() -> None:
    for task in TASKS:
        with closing(gymnasium.make(f"roboyard/{task}-v0")) as env:
            assert set(env.observation_space.spaces) == {
                "observation", "achieved_goal", "desired_goal",
            }  # fmt: skip


def test_the_reward_of_a_step_is_that_of_its_goals(env: TaskEnv) -> None:
    env.reset(seed=0)
    rows = [env.step(env.action_space.sample()) for _ in range(20)]
    achieved = np.stack([row[0]["achieved_goal"] for row in rows])
    desired = np.stack([row[0]["desired_goal"] for row in rows])
    infos = [row[4] for row in rows]
    assert env.compute_reward(achieved, desired, infos).tolist() == [row[1] for row in rows]
    assert [info["is_success"] for info in infos] == [row[1] == 0.0 for row in rows]


def test_sparse_rewards_say_whether_and_dense_ones_how_far() -> None:
    achieved = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    desired = np.array([[0.03, 0.0, 0.03], [0.3, 0.4, 0.0]])
    with closing(TaskEnv("panda-reach")) as env:
        assert env.compute_reward(achieved, desired, {}).tolist() == [0.0, -1.0]
        assert env.compute_reward(achieved[0], desired[1], {}) == -1.0
    with closing(TaskEnv("panda-reach", overrides={"goal": {"reward": "dense"}})) as env:
        assert env.compute_reward(achieved, desired, {})[1] == pytest.approx(-0.5)


def test_goals_of_many_transitions_are_compared_at_once() -> None:
    goals = np.random.default_rng(0).uniform(-1, 1, (2, 5, 7, 3))
    with closing(TaskEnv("panda-reach")) as env:
        together = env.compute_reward(goals[0], goals[1], {})
        assert together.shape == (5, 7)
        one = env.compute_reward(goals[0, 2, 3], goals[1, 2, 3], {})
    assert together[2, 3] == one


def test_rewards_are_computed_in_worker_processes_too() -> None:
    config = EnvConfig(id="panda-reach")
    with closing(make_vec_env(config, num_envs=2, seeds=[0, 1], workers=2)) as envs:
        envs.reset()
        goals = np.zeros((4, 3)), np.full((4, 3), 0.01)
        (rewards,) = envs.env_method("compute_reward", *goals, [{}] * 4, indices=[0])
    assert np.asarray(rewards).tolist() == [0.0] * 4


def test_moving_towards_the_goal_reaches_it_and_stays() -> None:
    def towards(observation: Obs, step: int) -> np.ndarray:
        del step
        return (observation["desired_goal"] - observation["achieved_goal"]) / 0.05

    with closing(TaskEnv("panda-reach")) as env:
        for seed in range(10):
            _, info = play(env, towards, seed)
            assert info["is_success"]
            assert info["episode_metrics"]["distance"] < 0.005


def test_an_action_moves_the_hand_by_its_scale_along_each_axis() -> None:
    with closing(TaskEnv("panda-reach")) as env:
        for axis in range(3):
            first = env.reset(seed=0)[0]["achieved_goal"]
            action = np.zeros(3, np.float32)
            action[axis] = 0.2
            for _ in range(5):
                last = env.step(action)[0]["achieved_goal"]
            moved = last - first
            assert 0.025 < moved[axis] < 0.055  # 5 cm are asked for; motors lag behind
            assert np.abs(np.delete(moved, axis)).max() < 0.006


def test_the_hand_stays_upright_and_in_its_workspace() -> None:
    with closing(TaskEnv("panda-reach")) as env:
        observation, _ = play(env, lambda *_: [0.0, 0.0, -1.0], seed=0)
        assert observation["achieved_goal"][2] > -0.02
        hand = env.robot.link("panda_grasptarget")
        x, y, z, w = env.state.link_orientations[hand]
    assert abs(x) == pytest.approx(1.0, abs=0.01)
    assert max(abs(y), abs(z), abs(w)) < 0.05


def test_a_scripted_hand_grasps_the_cube_and_lifts_it_to_the_goal() -> None:
    def take(observation: Obs, step: int) -> list[float]:
        hand, cube = observation["observation"][:3], observation["achieved_goal"]
        if step < 12:  # above it, open
            return [*((cube + np.array([0, 0, 0.06]) - hand) / 0.05), 1.0]
        if step < 20:
            return [*((cube - hand) / 0.05), 1.0]
        if step < 25:
            return [0.0, 0.0, 0.0, -1.0]
        return [*((observation["desired_goal"] - cube) / 0.1), -1.0]

    with closing(TaskEnv("panda-pick-and-place")) as env:
        successes = [play(env, take, seed)[1]["is_success"] for seed in range(10)]
    assert sum(successes) >= 9


def test_a_cube_that_is_left_alone_stays_where_it_is() -> None:
    with closing(TaskEnv("panda-push")) as env:
        first = env.reset(seed=3)[0]["achieved_goal"]
        last = [env.step(np.zeros(3, np.float32)) for _ in range(50)][-1][0]["achieved_goal"]
    assert last == pytest.approx(first, abs=1e-3)


def test_the_marker_stands_at_the_goal_and_touches_nothing(env: TaskEnv) -> None:
    for seed in range(3):
        observation, _ = env.reset(seed=seed)
        marker = env.scene.things["goal"].body
        assert env.world.base(marker).position == pytest.approx(
            observation["desired_goal"].tolist(), abs=1e-6
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"commands": {"goal": {"params": {"x": {"type": "uniform", "low": 0, "high": 2}}}}},
            r"commands\.goal: \(2, .*out of reach.*panda_grasptarget.*Narrow",
        ),
        ({"objects": {"goal": {"marks": "gaol"}}}, r"objects\.goal\.marks.*'gaol'.*Did you mean"),
        (
            {"objects": {"box": {"shape": "box", "size": [0.1, 0.1, 0.1], "mass": 1,
                                 "position": [-0.6, 0, 0.1]}}},
            r"objects\.box: overlaps robot 'panda' \(link 'panda_link\d'\) by \d+ mm",
        ),
        (
            {"objects": {"box": {"shape": "sphere", "size": [0.1], "mass": 1,
                                 "position": [0, 0, -0.1]}}},
            r"objects\.table: overlaps objects\.box by \d+ mm",
        ),
        ({"objects": {"table": {"size": [1, 1]}}}, r"objects\.table: .*box needs 3 sizes"),
        ({"objects": {"table": {"link": "x"}}}, r"objects\.table: .*either link .* or shape"),
        (
            {"objects": {"m": {"shape": "mesh", "file": "pybullet_data:duc.obj"}}},
            r"objects\.m: .*duc\.obj' does not exist.*Did you mean 'duck.obj'",
        ),
        ({"rewards": {"alive": {}}}, "either goal or rewards"),
        (
            {"metrics": {"work": {"term": "motor_work"}}},
            r"metrics\.work: the term does not fit robot 'panda' \(ValueError: shapes \(3,\)",
        ),
        ({"goal": None}, "rewards is missing"),
        ({"observations": {"goal": {"group": "other"}}}, "needs the groups 'achieved_goal' and"),
        (
            {"observations": {"more": {"term": "link_place", "group": "desired_goal",
                                       "params": {"link": "panda_hand"}}}},
            r"'achieved_goal' has shape \(3,\) and 'desired_goal' has \(6,\)",
        ),
        (
            {"metrics": {"distance": {"params": {"link": "panda_hnad"}}}},
            r"metrics\.distance.link: no link matches 'panda_hnad'",
        ),
        (
            {"observations": {"cube": {"term": "object_velocity", "params": {"name": "cube"}}}},
            r"observations\.cube\.name: the task has no object 'cube'.*It has: table, goal",
        ),
    ],
)  # fmt: skip
def test_a_mistake_gives_one_line_that_names_the_place(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises((ConfigError, RobotDescriptionError), match=message) as caught:
        TaskEnv("panda-reach", overrides=changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("actuator", "message"),
    [
        ({"link": "panda_hadn"}, r"actuators\.0\.link: no link matches 'panda_hadn'"),
        ({"workspace": [[0, 0, 1], [1, 1, 0]]}, "workspace is reversed along z: 1.* is above 0"),
        ({"offset": "initial"}, "takes no offset"),
        ({"link": None}, "needs link"),
        ({"together": True}, "takes no 'together'"),
        ({"control": "position"}, "takes no link"),
        ({"scale": {"w": 0.1}}, r"scale: no entry matches 'w'"),
        ({"link": "base"}, "is the base, which no joint moves"),
    ],
)
def test_a_wrong_effector_gives_one_line(actuator: dict[str, Any], message: str) -> None:
    given = {
        "joints": ["panda_joint?"],
        "control": "cartesian",
        "link": "panda_grasptarget",
        "scale": 0.05,
        **actuator,
    }
    with pytest.raises((ConfigError, RobotDescriptionError), match=message) as caught:
        TaskEnv("panda-reach", overrides={"robot": {"actuators": [given]}})
    assert "\n" not in str(caught.value)
