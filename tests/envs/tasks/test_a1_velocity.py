"""The walking task: it stands, it does not explode, and with everything random it stays exact."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roboyard.config.load import load
from roboyard.config.schema import EnvConfig
from roboyard.envs.task_env import TaskEnv
from roboyard.testing.env_conformance import EnvConformance

VARIANTS = ("a1-velocity", "a1-velocity-random", "a1-velocity-terrain")
WIDE = {"type": "uniform", "low": -0.4, "high": 0.4}
DELAYED = {"noise": WIDE, "bias": WIDE, "delay_steps": 3, "drop": 0.3, "quantization": 0.01}
EVERYTHING: dict[str, Any] = {
    "max_episode_steps": 35,
    "ground": {"type": "terrain", "terrain": {
        "kinds": ["rough", "stairs_up", "slope_down"], "levels": 3, "tile_size": 5.0}},
    "acting": {"delay_steps": 2, "drop": 0.2, "noise": WIDE},
    "commands": {
        "velocity": {"params": {"interval_s": {"type": "uniform", "low": 0.1, "high": 0.3},
                                "heading": {"type": "uniform", "low": -3, "high": 3}}},
        "gait": {"term": "gait_clock",
                 "params": {"period_s": {"type": "normal", "mean": 0.5, "std": 0.05}}},
        "spot": {"term": "point", "params": {"x": WIDE, "y": WIDE, "from_start": True}},
    },
    "observations": {
        "joints": {"sensor": DELAYED},
        "heights": {"term": "height_scan", "sensor": DELAYED},
        "gait": {"term": "command", "params": {"name": "gait"}},
        "spot": {"term": "point_in_body", "params": {"name": "spot"}},
        "rays": {"term": "rays", "params": {"count": 5}},
    },
    "rewards": {"gait": {"term": "gait_match"}, "second": {"term": "action_acceleration"}},
    "events": {
        "push": {"on": "interval", "interval_s": [0.05, 0.2]},
        "regain": {"term": "randomize_gains", "on": "interval", "interval_s": [0.1, 0.2],
                   "params": {"stiffness": {"type": "uniform", "low": 0.9, "high": 1.1}}},
        "tile": {"term": "spawn_on_terrain"},
    },
    "curricula": {
        "push_x": {"steps": [0, 90]},
        "level": {"target": "events.tile.params.level", "start": 0.0, "end": 1.0,
                  "by": "success", "measure": "length", "raise_above": 0.5, "step": 0.5},
    },
}  # fmt: skip


def make() -> TaskEnv:
    return TaskEnv("a1-velocity-random", overrides=EVERYTHING)


def roll(env: TaskEnv, steps: int, seed: int) -> np.ndarray:
    """Return all that an agent sees of random actions, resets at ends included."""
    generator = np.random.default_rng(seed)
    seen = []
    for _ in range(steps):
        action = generator.uniform(-1.2, 1.2, 12).astype(np.float32)
        observation, reward, terminated, truncated, info = env.step(action)
        shares = list(info["reward_terms"].values())
        seen.append(np.concatenate([observation, [reward, terminated, truncated], shares]))
        if terminated or truncated:
            first, info = env.reset()
            levels = list(info["curricula"].values())
            seen.append(np.concatenate([first, np.zeros(3 + len(shares) - len(levels)), levels]))
    return np.array(seen)


@pytest.fixture(params=VARIANTS)
def env(request: pytest.FixtureRequest) -> Iterator[TaskEnv]:
    env = TaskEnv(request.param)
    yield env
    env.close()


def test_it_stands_still_without_actions(env: TaskEnv) -> None:
    for seed in range(3):
        env.reset(seed=seed)
        env.events._repeated.clear()
        for _ in range(150):
            _, _, terminated, _, _ = env.step(np.zeros(12))
            assert not terminated
        clearance = env.state.base_position[2] - env.state.ground_height(
            *env.state.base_position[:2]
        )
        assert 0.24 < clearance < 0.32
        assert np.linalg.norm(env.state.base_velocity) < 0.05
        # With badly calibrated encoders one foot may hang in the air.
        assert set(env.state.ground_contacts) <= set(env.robot.feet)
        assert len(env.state.ground_contacts) >= 3


def test_random_actions_break_nothing(env: TaskEnv) -> None:
    env.reset(seed=0)
    generator = np.random.default_rng(0)
    for _ in range(400):
        action = generator.choice([-1.0, 1.0], 12)
        observation, reward, terminated, truncated, info = env.step(action)
        assert "is_unstable" not in info
        assert np.abs(observation).max() < 50
        assert abs(reward) < 0.1
        if terminated or truncated:
            env.reset()


def test_it_moves_at_50_hz_with_12_joints(env: TaskEnv) -> None:
    assert env.control_period == pytest.approx(0.02)
    assert env.action_space.shape == (12,)
    entries = env.observations.entries()["observation"]
    assert [entry.unit for entry in entries[:3]] == ["0.5 m/s"] * 3


def test_a_robot_on_its_side_has_fallen() -> None:
    over = {"tilt": {"type": "constant", "value": 2.0}, "z": 0.1}
    env = TaskEnv("a1-velocity", overrides={"events": {"base": {"params": over}}})
    env.reset(seed=0)
    terminated, fired = False, ()
    for _ in range(30):
        _, _, terminated, _, info = env.step(np.zeros(12))
        if terminated:
            fired = info["terminated_by"]
            break
    assert terminated
    assert set(fired) <= {"fallen", "tilted"}
    env.close()


def test_leaving_the_terrain_cuts_the_episode_off() -> None:
    env = TaskEnv("a1-velocity-terrain")
    env.reset(seed=0)
    far = env.world.base(env.robot.body)._replace(position=(-7.8, 0.0, 0.4))
    env.world.set_base(env.robot.body, far)
    _, _, terminated, truncated, info = env.step(np.zeros(12))
    assert (terminated, truncated) == (False, True)
    assert info["terminated_by"] == ("outside",)
    env.close()


def test_robots_start_on_the_tile_they_are_told() -> None:
    changes = {"tile": {"params": {"spread": False}}}
    env = TaskEnv("a1-velocity-terrain", overrides={
        "events": changes, "curricula": {"terrain": {"start": 1.0}}})  # fmt: skip
    columns = set()
    for seed in range(12):
        tile = env.reset(seed=seed)[1]["events"]["tile"]
        assert tile["level"] == 5
        columns.add(tile["column"])
        x, y, height = env.scene.terrain.tile(5, tile["column"])
        assert env.state.base_position == pytest.approx((x, y, height + 0.31), abs=0.03)
    assert len(columns) > 2
    env.close()


def test_rewards_below_zero_are_raised_to_zero() -> None:
    env = TaskEnv(
        "a1-velocity",
        overrides={"positive_rewards": True, "rewards": {"extra": {"term": "alive", "weight": -9}}},
    )
    env.reset(seed=0)
    _, reward, _, _, info = env.step(np.zeros(12))
    assert reward == 0.0
    assert sum(info["reward_terms"].values()) < -8
    env.close()


def test_a_snapshot_with_everything_random_goes_on_exactly(tmp_path: Path) -> None:
    env = make()
    env.reset(seed=5)
    roll(env, 80, 1)  # into the third episode
    data = env.snapshot()
    expected = roll(env, 120, 2)
    env.restore(data)
    np.testing.assert_array_equal(roll(env, 120, 2), expected)
    (tmp_path / "snapshot").write_bytes(data)
    code = (
        "import sys; sys.path[:0] = sys.argv[1:2]\n"
        "import numpy as np, pathlib, test_a1_velocity as t\n"
        "env, folder = t.make(), pathlib.Path(sys.argv[2])\n"
        "env.restore((folder / 'snapshot').read_bytes())\n"
        "np.save(folder / 'seen.npy', t.roll(env, 120, 2))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent), tmp_path], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "seen.npy"), expected)
    env.close()


def test_taking_a_snapshot_changes_nothing() -> None:
    env, watched = make(), make()
    env.reset(seed=6)
    watched.reset(seed=6)
    for part in range(10):
        watched.snapshot()
        np.testing.assert_array_equal(roll(env, 9, part), roll(watched, 9, part))
    env.close()
    watched.close()


def test_a_seed_gives_the_same_episode_after_any_history() -> None:
    """Levels of curricula belong to the copy, not to the seed; without them history is nothing."""
    env = TaskEnv("a1-velocity-random", overrides={**EVERYTHING, "curricula": {
        name: {"target": "acting.drop", "start": 0.2, "end": 0.2, "measure": "length"}
        for name in ("push_x", "push_x_low", "level")}})  # fmt: skip
    env.reset(seed=4)
    first = roll(env, 30, 1)
    roll(env, 50, 2)
    env.reset(seed=4)
    np.testing.assert_array_equal(roll(env, 30, 1), first)
    env.close()


def test_the_run_config_fits() -> None:
    config = load(Path(__file__).parents[3] / "configs" / "a1-velocity.yaml")
    assert config.env.id == "a1-velocity"
    assert config.agent.algorithm == "PPO"


class TestRandomisedWalking(EnvConformance):
    """What every robot environment has to pass, for the variant with everything random."""

    config = EnvConfig(id="a1-velocity-random")
    steps = 25


def test_whatever_is_drawn_the_robot_stays_possible() -> None:
    env = TaskEnv("a1-velocity-random")
    env.reset(seed=0)
    for _ in range(300):
        env.reset()
    env.close()
