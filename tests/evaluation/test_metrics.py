"""What a task reports beside the return: means, last and largest values of episodes."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from roboyard.config.schema import EnvConfig
from roboyard.envs.task_env import TaskEnv
from roboyard.evaluation.episodes import RECORD_KEY, SeededEpisodes
from roboyard.evaluation.evaluator import Evaluator
from roboyard.evaluation.scripted import ZeroPolicy

METRICS = {
    "alive": {"term": "alive"},
    "speed": {"term": "forward_velocity", "over": "last"},
    "height": {"term": "height_error", "over": "largest", "params": {"target": 0.0}},
}


class Chatty(gymnasium.Wrapper):
    """Reports things that are no numbers, too."""

    def __init__(self) -> None:
        super().__init__(gymnasium.make("Pendulum-v1", max_episode_steps=2))

    def step(self, action):
        *rest, info = self.env.step(action)
        return *rest, {**info, "episode_metrics": {"good": np.float64(2.0), "bad": "text"}}


def test_metrics_are_means_last_and_largest_values_of_the_episode() -> None:
    env = TaskEnv("hopper-run", overrides={"metrics": METRICS, "max_episode_steps": 5})
    env.reset(seed=0)
    speeds, heights, done = [], [], False
    while not done:
        *_, terminated, truncated, info = env.step(env.action_space.sample())
        speeds.append(env.state.base_velocity)
        heights.append(env.state.base_position[2] ** 2)
        done = terminated or truncated
    report = info["episode_metrics"]
    assert report["alive"] == 1.0
    assert report["height"] == pytest.approx(max(heights))
    assert abs(report["speed"]) <= np.linalg.norm(speeds[-1]) + 1e-9
    env.close()


def test_metrics_change_neither_rewards_nor_snapshots() -> None:
    plain, watched = TaskEnv("hopper-run"), TaskEnv("hopper-run", overrides={"metrics": METRICS})
    plain.reset(seed=0)
    watched.reset(seed=0)
    for step in range(20):
        action = np.full(3, 0.3, np.float32)
        if step == 10:
            data = watched.snapshot()
            watched.step(action)
            watched.restore(data)
        assert plain.step(action)[1] == watched.step(action)[1]
    plain.close()
    watched.close()


def test_an_evaluation_reports_their_means() -> None:
    config = EnvConfig(
        id="hopper-run", kwargs={"overrides": {"metrics": METRICS, "max_episode_steps": 4}}
    )
    with Evaluator(config, episodes=3, num_envs=2, seed=0) as evaluator:
        result = evaluator.evaluate(ZeroPolicy(evaluator.action_space))
    assert result.metrics["alive"] == (1.0, 1.0, 1.0)
    assert result.to_dict()["metrics"].keys() == METRICS.keys()


def test_what_is_no_number_is_left_out() -> None:
    config = EnvConfig(id=f"{__name__}:Chatty")
    env = SeededEpisodes(config.model_dump())
    env.begin([(0, 1)])
    env.reset()
    env.step(env.action_space.sample())
    info = env.step(env.action_space.sample())[-1]
    assert info[RECORD_KEY].metrics == {"good": 2.0}
    env.close()
