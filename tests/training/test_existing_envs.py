"""Environments of others train through the same config as ours, dictionaries and goals included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_exact_continuation import assert_killed_equals_whole
from training_runs import tiny_config, train

from roboyard.errors import ConfigError

HER = {"her": {"goals_per_transition": 4}}
NOT_SCALED = ("env.normalize.rewards=false",)


@pytest.mark.parametrize(
    ("env_id", "algorithm", "agent"),
    [
        ("Pendulum-v1", "PPO", {}),
        ("pybullet_envs_gymnasium:HopperBulletEnv-v0", "SAC", {}),
        ("panda_gym:PandaReach-v3", "SAC", HER),
        pytest.param("panda-reach", "TQC", HER, marks=pytest.mark.slow),
    ],
)
def test_an_environment_trains_from_its_id(
    env_id: str, algorithm: str, agent: dict[str, object], tmp_path: Path
) -> None:
    module = env_id.partition(":")[0] if ":" in env_id else "gymnasium"
    pytest.importorskip(module)
    overrides = (
        f"env.id={env_id}", "env.max_episode_steps=8", "train.total_steps=64",
        "agent.hyperparameters.n_steps=1" if agent else "seed=0",
    )  # fmt: skip
    config = tiny_config(tmp_path, algorithm, (*overrides, *NOT_SCALED), **agent)
    result = train(config)
    assert result.steps == 64
    row = json.loads((result.run_dir / "final_evaluation.json").read_text())
    assert len(row["returns"]) == 2
    assert (result.run_dir / "policy" / "best.zip").is_file()
    if agent:
        assert 0.0 <= row["success_rate"] <= 1.0


def test_hindsight_before_the_first_episode_is_over_is_refused_with_what_to_do(
    tmp_path: Path,
) -> None:
    config = tiny_config(tmp_path, "SAC", ("env.id=panda-reach", *NOT_SCALED), **HER)
    with pytest.raises(ConfigError, match=r"learning_starts is too small.*times the 2 copies"):
        train(config)


@pytest.mark.slow
def test_an_arm_with_hindsight_killed_in_its_episodes_equals_the_uninterrupted_run(
    tmp_path: Path,
) -> None:
    overrides = ("env.id=panda-pick-and-place", "env.num_envs=1", "env.max_episode_steps=9")
    assert_killed_equals_whole(tmp_path, "SAC", (*overrides, *NOT_SCALED), **HER)


@pytest.mark.slow
def test_hindsight_asks_worker_processes_for_rewards(tmp_path: Path) -> None:
    overrides = (
        "env.id=panda-reach", "env.workers=2", "env.max_episode_steps=8", "train.total_steps=64",
    )  # fmt: skip
    result = train(tiny_config(tmp_path, "SAC", (*overrides, *NOT_SCALED), **HER))
    row = json.loads((result.run_dir / "final_evaluation.json").read_text())
    assert set(row["metrics"]) == {"distance"}
