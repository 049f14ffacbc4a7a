"""What holds for every task: clean checks, exact snapshots, no history, readable results."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_sb3_env

from roboyard.config.tasks import TaskConfig
from roboyard.envs.task_env import TaskEnv
from roboyard.envs.tasks import list_tasks, load_task
from roboyard.errors import ConfigError, RobotDescriptionError, SimulationError

TASKS = list_tasks()
PUSHED = {"pushes": {"term": "reset_joints", "on": "interval", "interval_s": [0.05, 0.2]}}


@pytest.fixture(params=TASKS)
def env(request: pytest.FixtureRequest) -> Iterator[TaskEnv]:
    env = TaskEnv(request.param)
    yield env
    env.close()


def roll(env: TaskEnv, steps: int, seed: int) -> list[np.ndarray]:
    """Return what an agent sees of ``steps`` random actions, resets at ends included."""
    generator = np.random.default_rng(seed)
    seen = []
    for _ in range(steps):
        action = generator.uniform(-1.2, 1.2, env.action_space.shape).astype(np.float32)
        observation, reward, terminated, truncated, info = env.step(action)
        shares = list(info["reward_terms"].values())
        seen.append(np.concatenate([flat(env, observation), [reward, terminated], shares]))
        if terminated or truncated:
            seen.append(flat(env, env.reset()[0]))
    return seen


def flat(env: TaskEnv, observation: object) -> np.ndarray:
    return np.asarray(gymnasium.spaces.flatten(env.observation_space, observation))


def assert_equal(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_checkers_find_nothing(env: TaskEnv) -> None:
    check_env(env, skip_render_check=True)
    check_sb3_env(env)


def test_a_seed_gives_the_same_episode_after_any_history(env: TaskEnv) -> None:
    env.reset(seed=4)
    first = roll(env, 60, 1)
    roll(env, 37, 2)
    env.reset(seed=4)
    assert_equal(first, roll(env, 60, 1))


def test_a_snapshot_goes_on_exactly_in_another_environment(env: TaskEnv) -> None:
    env.reset(seed=8)
    roll(env, 25, 3)
    data = env.snapshot()
    expected = roll(env, 40, 4)
    other = TaskEnv(env.task)
    other.restore(data)
    assert_equal(expected, roll(other, 40, 4))
    env.restore(data)
    assert_equal(expected, roll(env, 40, 4))
    other.close()


def test_a_snapshot_goes_on_exactly_in_another_process(tmp_path: Path) -> None:
    env = TaskEnv("ant-run", overrides={"events": PUSHED})
    env.reset(seed=8)
    roll(env, 25, 3)
    (tmp_path / "snapshot").write_bytes(env.snapshot())
    code = (
        "import sys; sys.path[:0] = sys.argv[1:2]\n"
        "import numpy as np, pathlib, test_task_env as t\n"
        "env = t.TaskEnv('ant-run', overrides={'events': t.PUSHED})\n"
        "folder = pathlib.Path(sys.argv[2])\n"
        "env.restore((folder / 'snapshot').read_bytes())\n"
        "np.save(folder / 'seen.npy', np.concatenate(t.roll(env, 40, 4)))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent), tmp_path], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "seen.npy"), np.concatenate(roll(env, 40, 4)))
    env.close()


def test_gymnasium_makes_every_task() -> None:
    env = gymnasium.make("roboyard/hopper-run-v0", max_episode_steps=3)
    assert isinstance(env.unwrapped, TaskEnv)
    assert {f"roboyard/{task}-v0" for task in TASKS} <= set(gymnasium.registry)
    env.close()


def test_the_reward_is_the_sum_of_its_logged_terms() -> None:
    env = TaskEnv("hopper-run", overrides={"rewards": {"alive": {"weight": 3}}})
    env.reset(seed=0)
    sums = dict.fromkeys(env.rewards.names, 0.0)
    for _ in range(100):
        _, reward, terminated, _, info = env.step(np.ones(3, np.float32))
        assert reward == pytest.approx(sum(info["reward_terms"].values()))
        assert abs(info["reward_terms"]["alive"]) == 3
        for name, value in info["reward_terms"].items():
            sums[name] += value
        if terminated:
            break
    assert info["terminated_by"] == ("fallen",)
    assert info["episode_reward_terms"] == pytest.approx(sums)
    env.close()


def test_a_term_of_weight_zero_is_left_out() -> None:
    env = TaskEnv("hopper-run", overrides={"rewards": {"stall": {"weight": 0}}})
    assert "stall" not in env.rewards.names
    env.close()


def test_groups_make_a_dictionary() -> None:
    split = {name: {"group": "body"} for name in ("height", "heading", "velocity", "roll_pitch")}
    env = TaskEnv("hopper-run", overrides={"observations": split})
    whole = TaskEnv("hopper-run")
    (parts, _), (flat, _) = env.reset(seed=1), whole.reset(seed=1)
    assert isinstance(parts, dict)
    assert env.observation_space.contains(parts)
    np.testing.assert_array_equal(np.concatenate([parts["body"], parts["observation"]]), flat)
    env.close()
    whole.close()


def test_every_entry_of_the_observation_has_a_name(env: TaskEnv) -> None:
    space = env.observation_space
    spaces = space.spaces if isinstance(space, gymnasium.spaces.Dict) else {"observation": space}
    for group, entries in env.observations.entries().items():
        if len(spaces[group].shape) == 1:  # else a picture
            assert len(entries) == spaces[group].shape[0]
        assert len({entry.name for entry in entries}) == len(entries)


@pytest.mark.parametrize("limit", [0.01, 0.4, 1.0, 5.0])
def test_an_observation_is_cut_at_its_limit_and_nowhere_else(limit: float) -> None:
    cut, whole = (TaskEnv("ant-run", overrides={"clip_observations": c}) for c in (limit, None))
    actions = np.random.default_rng(0).uniform(-1, 1, (50, 8)).astype(np.float32)
    pairs = [(cut.reset(seed=0)[0], whole.reset(seed=0)[0])]
    pairs += [(cut.step(action)[0], whole.step(action)[0]) for action in actions]
    for seen, full in pairs:
        np.testing.assert_array_equal(seen, np.clip(full, np.float32(-limit), np.float32(limit)))
    cut.close()
    whole.close()


def test_numbers_that_are_not_finite_end_the_episode() -> None:
    env = TaskEnv("hopper-run", overrides={"clip_observations": None})
    env.reset(seed=0)
    env.step(np.zeros(3, np.float32))
    env.state.read = lambda: setattr(env.state, "base_velocity", (np.nan, 0.0, 0.0))
    observation, reward, terminated, _, info = env.step(np.zeros(3, np.float32))
    assert terminated
    assert info["is_unstable"]
    assert np.isfinite([*observation, reward]).all()
    env.close()


def test_a_closed_environment_refuses_to_step() -> None:
    env = TaskEnv("hopper-run")
    env.reset(seed=0)
    env.close()
    with pytest.raises(SimulationError, match="the world is closed"):
        env.step(np.zeros(3, np.float32))


@pytest.mark.parametrize("task", ["hopper-run", "panda-pick-and-place"])
def test_a_thousand_resets_leak_nothing(task: str) -> None:
    import psutil

    env = TaskEnv(task)
    for _ in range(100):
        env.reset()
    before = psutil.Process().memory_info().rss
    for _ in range(1000):
        env.reset()
    assert psutil.Process().memory_info().rss - before < 3e6
    env.close()


BAD = [
    ({"rewards": {"alive": {"params": {"min_hight": 1}}}}, "rewards.alive.params.min_hight",
     "min_height"),
    ({"rewards": {"alive": {"params": {"min_height": "tall"}}}}, "rewards.alive.params.min_height",
     "must be a number"),
    ({"rewards": {"extra": {"term": "postur"}}}, "rewards.extra", "Did you mean 'posture'?"),
    ({"rewards": {"extra": {"term": "math:nope"}}}, "rewards.extra", "has no 'nope'"),
    ({"terminations": {"fallen": {"weight": 1}}}, "terminations.fallen.weight", "unknown key"),
    ({"observations": {"feet": {"params": {"links": ["hand"]}}}}, "observations.feet.links",
     "no link matches 'hand'"),
    ({"events": {"joints": {"params": {"joints": "elbow*"}}}}, "events.joints.joints",
     "no joint matches 'elbow*'"),
    ({"events": {"joints": {"on": "interval"}}}, "events.joints", "needs interval_s"),
    ({"events": {"push": {"term": "reset_joints", "on": "interval", "interval_s": [2, 1]}}},
     "events.push.interval_s", "2.0 is above 1.0"),
    ({"robot": "hoper"}, "hoper", "Did you mean 'hopper'?"),
    ({"objects": {"cube": {"link": "cube"}}}, "objects.cube", "no body has a link 'cube'"),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "place", "hint"), BAD, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_named(overrides: dict[str, object], place: str, hint: str) -> None:
    with pytest.raises((ConfigError, RobotDescriptionError)) as caught:
        TaskEnv("hopper-run", overrides=overrides)
    assert place in str(caught.value)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_term_that_does_not_fit_the_robot_is_an_error() -> None:
    with pytest.raises(RobotDescriptionError, match=r"observations\.feet.*has no feet"):
        TaskEnv("reacher", overrides={"observations": {"feet": {"term": "ground_contacts"}}})


def test_an_unknown_task_is_an_error() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'hopper-run'"):
        load_task("hoper-run")


def test_a_task_survives_writing_out() -> None:
    for task in TASKS:
        loaded = load_task(task)
        assert load_task(loaded.model_dump(mode="json")) == loaded
        assert isinstance(loaded, TaskConfig)


@pytest.mark.parametrize("action", [np.zeros(2), np.full(3, np.nan)])
def test_a_wrong_action_is_an_error(action: np.ndarray) -> None:
    env = TaskEnv("hopper-run")
    env.reset(seed=0)
    with pytest.raises(SimulationError, match="action"):
        env.step(action)
    env.close()
