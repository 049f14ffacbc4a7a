"""Curricula: levels rise with steps or success, turn the right number, and survive snapshots."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from roboyard.envs.managers.binding import BoundTerm
from roboyard.envs.task_env import TaskEnv
from roboyard.errors import ConfigError

PUSH = {"push": {"on": "interval", "interval_s": [9, 9],
                 "params": {"x": {"type": "uniform", "low": 0, "high": 0.5}}}}  # fmt: skip
SHORT = {"short": {"term": "time_limit", "kind": "truncation", "params": {"seconds": 0.1}}}


def make(name: str = "it", **curriculum: Any) -> TaskEnv:
    overrides = {"curricula": {name: curriculum}, "events": PUSH}
    return TaskEnv("hopper-run", overrides=overrides, max_episode_steps=5)


@pytest.fixture
def env() -> Iterator[TaskEnv]:
    env = make(target="rewards.progress.weight", start=1.0, end=2.0, steps=[10, 30])
    yield env
    env.close()


def play(env: TaskEnv, episodes: int) -> list[float]:
    """Return the level that each episode began with."""
    levels = []
    for _ in range(episodes):
        levels.append(env.reset()[1]["curricula"]["it"])
        done = False
        while not done:
            _, _, terminated, truncated, _ = env.step(np.zeros(3))
            done = terminated or truncated
    return levels


def weight(env: TaskEnv, name: str = "progress") -> float:
    return env.rewards.weights[env.rewards.names.index(name)]


def used(term: BoundTerm, name: str) -> Any:
    return inspect.signature(term.call).parameters[name].default


def test_a_level_rises_with_the_steps_of_all_episodes(env: TaskEnv) -> None:
    env.reset(seed=0)
    assert play(env, 8) == [0.0, 0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert weight(env) == 2.0


def test_a_number_stays_within_an_episode(env: TaskEnv) -> None:
    env.max_episode_steps = 100
    env.reset(seed=0)
    for _ in range(20):
        env.step(np.zeros(3))
    assert weight(env) == 1.0
    env.reset()
    assert weight(env) == 1.5


def test_a_level_rises_and_falls_with_success() -> None:
    env = make(
        target="events.push.params.x.high", start=0.5, end=1.5, by="success",
        measure="length", episodes=2, raise_above=0.9, lower_below=0.5, step=0.5,
    )  # fmt: skip
    env.reset(seed=0)
    assert play(env, 6) == [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]  # full length: up after every second
    term = next(t for t in env.events.terms if t.name == "push")
    assert used(term, "x").high == 1.5
    assert used(term, "x").low == 0.0
    env.max_episode_steps = 100_000  # now it falls after a few steps: a small share of the limit
    assert play(env, 5) == [1.0, 1.0, 0.5, 0.5, 0.0]
    env.reset()
    assert used(term, "x").high == 0.5
    env.close()


def test_success_is_measured_by_a_reward_term() -> None:
    env = make(target="rewards.alive.weight", start=1.0, end=3.0, by="success",
               measure="rewards.alive", raise_above=0.9, step=1.0)  # fmt: skip
    env.reset(seed=0)
    assert play(env, 2) == [0.0, 1.0]  # 1 in every step, before its weight
    assert play(env, 1) == [1.0]
    env.close()


def test_an_episode_that_is_broken_off_counts_for_nothing() -> None:
    env = make(target="rewards.alive.weight", start=1.0, end=3.0, by="success", measure="length")
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.zeros(3))
        assert env.reset()[1]["curricula"]["it"] == 0.0
    env.close()


def test_a_snapshot_holds_levels_and_numbers(env: TaskEnv) -> None:
    env.reset(seed=0)
    play(env, 5)
    data, before = env.snapshot(), weight(env)
    expected = play(env, 3)
    other = make(target="rewards.progress.weight", start=1.0, end=2.0, steps=[10, 30])
    other.reset(seed=9)
    other.restore(data)
    assert weight(other) == before == 1.5
    assert play(other, 3) == expected
    other.close()


@pytest.mark.parametrize(
    "target",
    [
        "rewards.height.params.target",
        "commands.velocity.params.forward.high",
        "observations.joints.sensor.noise.high",
        "acting.drop",
    ],
)
def test_these_numbers_can_change(target: str) -> None:
    env = TaskEnv("a1-velocity", overrides={
        "curricula": {"it": {"target": target, "start": 0.1, "end": 0.2, "steps": [0, 1]}},
        "rewards": {"height": {"term": "height_error", "params": {"target": 0.3}}},
        "observations": {"joints": {"sensor": {"noise": {"type": "uniform", "low": 0, "high": 1}}}},
        "acting": {"drop": 0.0},
    })  # fmt: skip
    found = {
        "rewards.height.params.target": lambda: used(env.rewards.terms[-1], "target"),
        "commands.velocity.params.forward.high": lambda: (
            env.commands.terms[0].memory.params["forward"].high
        ),
        "observations.joints.sensor.noise.high": lambda: (
            env.observations.channels["joints"].config.noise.high
        ),
        "acting.drop": lambda: env.acting.config.drop,
    }[target]
    env.reset(seed=0)
    assert found() == pytest.approx(0.1)
    env.step(np.zeros(12))
    env.reset()
    assert found() == pytest.approx(0.2)
    env.close()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"target": "rewards.progres.weight"}, "curricula.it.target: 'rewards.progres.weight'"),
        ({"target": "rewards.progress.wieght"}, "there is no 'wieght'. Did you mean 'weight'?"),
        ({"target": "events.push.params.x"}, "not a number; only numbers can change"),
        ({"target": "events.push.params.x.high", "start": -1.0},
         "curricula.it: events.push.params.x.high cannot become -1"),
        ({"steps": [5, 5]}, "steps are reversed: 5 is not below 5"),
        ({"lower_below": 0.9}, "lower_below 0.9 is above raise_above 0.8"),
        ({"by": "success", "measure": "rewards.hight"}, "curricula.it.measure: unknown"),
        ({"by": "luck"}, "curricula.it.by: must be 'steps' or 'success'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_curriculum_is_named(wrong: dict[str, Any], text: str) -> None:
    right = {"target": "rewards.progress.weight", "start": 1.0, "end": 2.0}
    with pytest.raises(ConfigError) as caught:
        make(**{**right, **wrong})
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
