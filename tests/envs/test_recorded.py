"""An environment without snapshots gets one that repeats its episode, or says why it cannot."""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from roboyard.config.schema import EnvConfig
from roboyard.envs import recorded
from roboyard.envs.recorded import LimitedSnapshotEnv, RecordedEnv, make_resumable_env
from roboyard.errors import SimulationError

ACTIONS = np.random.default_rng(0).uniform(-1, 1, (1000, 1)).astype(np.float32)


class Walk(gymnasium.Env[Any, Any]):
    """A random walk with a memory that its generator does not show."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,))
    action_space = spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, length: int = 20) -> None:
        self.length = length
        self.memory = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.x, self.steps = float(self.np_random.normal()) + (options or {}).get("shift", 0.0), 0
        return np.array([self.x], np.float32), {}

    def step(self, action: Any) -> Any:
        self.x += float(action[0]) + float(self.np_random.normal()) + self.memory
        self.steps += 1
        done = self.steps >= self.length
        return np.array([self.x], np.float32), -abs(self.x), done, False, {}


class Kept(Walk):
    """Offers snapshots of its own."""

    def snapshot(self) -> bytes:
        return np.array([self.x, self.steps]).tobytes()

    def restore(self, data: bytes) -> None:
        x, steps = np.frombuffer(data)
        self.x, self.steps = float(x), int(steps)


def run(env: gymnasium.Env[Any, Any], start: int, count: int) -> list[object]:
    """Step on, with resets where episodes end, and return everything seen."""
    seen: list[object] = []
    for action in ACTIONS[start : start + count]:
        observation, reward, terminated, truncated, _ = env.step(action)
        seen.append((observation.tobytes(), reward, terminated, truncated))
        if terminated or truncated:
            seen.append(env.reset()[0].tobytes())
    return seen


@pytest.mark.parametrize("steps", [0, 7, 25, 47], ids=lambda n: f"after-{n}-steps")
def test_any_moment_comes_back_exactly_in_a_fresh_process(steps: int) -> None:
    old, new = RecordedEnv(Walk()), RecordedEnv(Walk())
    old.reset(seed=3)
    run(old, 0, steps)
    new.reset(seed=3)
    assert new.restore(old.snapshot()) == ""
    assert run(new, steps, 60) == run(old, steps, 60)


def test_a_restored_episode_can_be_saved_and_restored_again() -> None:
    envs = [RecordedEnv(Walk()) for _ in range(3)]
    envs[0].reset(seed=3)
    run(envs[0], 0, 25)
    for old, new in itertools.pairwise(envs):
        new.reset(seed=8)
        assert new.restore(old.snapshot()) == ""
    assert run(envs[2], 25, 60) == run(envs[0], 25, 60)


def test_options_of_the_reset_are_repeated() -> None:
    old, new = RecordedEnv(Walk()), RecordedEnv(Walk())
    old.reset(seed=3)
    old.reset(options={"shift": 5.0})
    new.reset(seed=3)
    assert new.restore(old.snapshot()) == ""
    assert new.unwrapped.x == old.unwrapped.x


def test_a_memory_from_earlier_episodes_is_noticed() -> None:
    old, new = RecordedEnv(Walk()), RecordedEnv(Walk())
    old.reset(seed=3)
    old.unwrapped.memory = 1
    run(old, 0, 5)
    new.reset(seed=3)
    assert new.restore(old.snapshot()).startswith("step 1 now gives the reward ")


def test_a_hidden_draw_is_noticed_by_the_generator() -> None:
    old, new = RecordedEnv(Walk()), RecordedEnv(Walk())
    old.reset(seed=3)
    old.unwrapped.np_random.normal()
    new.reset(seed=3)
    assert new.restore(old.snapshot()) == "its generator ends in another state"


def test_an_episode_that_ends_early_is_noticed() -> None:
    old, new = RecordedEnv(Walk()), RecordedEnv(Walk(length=3))
    for env in (old, new):
        env.reset(seed=3)
    run(old, 0, 9)
    assert new.restore(old.snapshot()) == "the episode now ends at step 3"


def test_endless_episodes_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "MAX_STEPS", 10)
    env = RecordedEnv(Walk(length=1000))
    env.reset(seed=3)
    run(env, 0, 100)
    assert len(env._log.actions) == 10
    assert env.restore(env.snapshot()) == "its episode is longer than 10 steps"
    env.reset()
    run(env, 0, 10)
    assert env.restore(env.snapshot()) == ""


def test_damaged_bytes_are_refused() -> None:
    env = RecordedEnv(Walk())
    env.reset(seed=3)
    with pytest.raises(SimulationError, match="damaged or cut short"):
        env.restore(env.snapshot()[:-1])


def test_own_snapshots_are_used_and_their_time_limit_goes_on() -> None:
    entry = EnvConfig(id=f"{__name__}:Kept", max_episode_steps=10)
    old, new = make_resumable_env(entry), make_resumable_env(entry)
    assert isinstance(old, LimitedSnapshotEnv)
    for env in (old, new):
        env.reset(seed=3)
    run(old, 0, 7)
    assert new.restore(old.snapshot()) == ""
    assert [new.step(ACTIONS[0])[3] for _ in range(3)] == [False, False, True]


def test_environments_of_this_package_are_left_as_they_are() -> None:
    env = make_resumable_env(EnvConfig(id="roboyard/SimpleRobot-v0"))
    assert env.unwrapped is env
    env.close()
