"""A run that was killed ends as the run that was never interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_runs import (
    PointGoal,
    fingerprint,
    kill_at,
    rows,
    run_path,
    tiny_config,
    train,
)

GSDE = ("agent.hyperparameters.use_sde=true", "agent.hyperparameters.sde_sample_freq=4")
ONE_ENV = ("env.num_envs=1",)
NOISE = {"action_noise": {"type": "ornstein_uhlenbeck", "sigma": 0.2}}
GOAL = (f"env.id={PointGoal.__module__}:PointGoal", "env.normalize.rewards=false")


def assert_killed_equals_whole(
    tmp_path: Path,
    algorithm: str,
    overrides: tuple[str, ...] = (),
    kills: tuple[int, ...] = (70, 150),
    without: tuple[str, ...] = (),
    **agent: object,
) -> None:
    config = tiny_config(tmp_path, algorithm, overrides, **agent)
    whole = train(config, run_id="whole").run_dir
    for count, step in enumerate(kills):
        kill_at(config, "killed", step, resume=count > 0)
    killed = train(config, resume_from=run_path(config, "killed")).run_dir
    assert compared(killed, without) == compared(whole, without)
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        assert rows(killed / name) == rows(whole / name)


def compared(run: Path, without: tuple[str, ...]) -> dict[str, str]:
    ends = fingerprint(run).items()
    return {name: value for name, value in ends if name.partition("/")[0] not in without}


@pytest.mark.slow
def test_ppo_killed_twice_equals_the_uninterrupted_run(tmp_path: Path) -> None:
    assert_killed_equals_whole(tmp_path, "PPO")


def test_sac_killed_twice_equals_the_uninterrupted_run(tmp_path: Path) -> None:
    assert_killed_equals_whole(tmp_path, "SAC", ONE_ENV)


def test_ppo_compiled_by_jax_killed_equals_the_uninterrupted_run(tmp_path: Path) -> None:
    assert_killed_equals_whole(tmp_path, "PPO", GSDE, kills=(70,), backend="jax")


@pytest.mark.slow
def test_sac_compiled_by_jax_killed_equals_the_uninterrupted_run(tmp_path: Path) -> None:
    assert_killed_equals_whole(tmp_path, "SAC", kills=(70,), backend="jax")


def test_ppo_with_worker_processes_killed_equals_the_uninterrupted_run(tmp_path: Path) -> None:
    assert_killed_equals_whole(tmp_path, "PPO", ("env.workers=2",), kills=(70,))


def test_a_run_moves_exactly_to_a_machine_that_takes_other_numbers_of_workers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here = tiny_config(tmp_path)
    there = tiny_config(tmp_path, overrides=("env.workers=2",))
    whole = train(here, run_id="whole").run_dir
    kill_at(there, "moved", 70)
    moved = train(here, resume_from=run_path(here, "moved")).run_dir
    assert fingerprint(moved) == fingerprint(whole)
    assert "bit for bit" not in caplog.text


def test_a_run_moves_to_other_threads_and_says_that_it_rounds_differently(tmp_path: Path) -> None:
    here = tiny_config(tmp_path, overrides=("train.threads=1",))
    there = tiny_config(tmp_path, overrides=("train.threads=2",))
    kill_at(there, "moved", 70)
    moved = train(here, resume_from=run_path(here, "moved"))
    assert (moved.state, moved.steps) == ("finished", 192)
    said = (moved.run_dir / "train.log").read_text()
    assert "train.threads (2 in the run, 1 now): numbers round differently from here on" in said


def test_killed_inside_a_checkpoint_write_equals_the_uninterrupted_run(tmp_path: Path) -> None:
    assert_killed_equals_whole(tmp_path, "PPO", kills=(-100, 150))


def test_killed_before_the_first_checkpoint_starts_over_and_ends_the_same(tmp_path: Path) -> None:
    assert_killed_equals_whole(tmp_path, "A2C", kills=(30,))


@pytest.mark.slow
@pytest.mark.parametrize(
    "algorithm", ["A2C", "TRPO", "RecurrentPPO", "ARS", "TD3", "TQC", "CrossQ"]
)
def test_every_algorithm_killed_equals_the_uninterrupted_run(
    tmp_path: Path, algorithm: str
) -> None:
    assert_killed_equals_whole(tmp_path, algorithm)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["PPO", "A2C", "RecurrentPPO", "SAC", "TQC"])
def test_state_dependent_exploration_is_continued_exactly(tmp_path: Path, algorithm: str) -> None:
    assert_killed_equals_whole(tmp_path, algorithm, GSDE)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["PPO", "SAC", "TD3", "TQC", "CrossQ"])
def test_every_compiled_algorithm_killed_twice_equals_the_uninterrupted_run(
    tmp_path: Path, algorithm: str
) -> None:
    assert_killed_equals_whole(tmp_path, algorithm, backend="jax")


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["SAC", "TQC", "CrossQ"])
def test_compiled_state_dependent_exploration_is_continued_exactly(
    tmp_path: Path, algorithm: str
) -> None:
    assert_killed_equals_whole(tmp_path, algorithm, GSDE, backend="jax")


@pytest.mark.slow
def test_compiled_hindsight_is_continued_exactly(tmp_path: Path) -> None:
    her = {"goals_per_transition": 2}
    assert_killed_equals_whole(tmp_path, "SAC", GOAL, her=her, backend="jax")


@pytest.mark.slow
def test_correlated_noise_is_continued_exactly(tmp_path: Path) -> None:
    assert_killed_equals_whole(tmp_path, "TD3", **NOISE)


@pytest.mark.slow
def test_hindsight_with_dictionary_observations_is_continued_exactly(tmp_path: Path) -> None:
    assert_killed_equals_whole(tmp_path, "SAC", GOAL, her={"goals_per_transition": 2})


@pytest.mark.slow
def test_schedules_keep_their_denominator(tmp_path: Path) -> None:
    linear = "agent.hyperparameters.learning_rate={type: linear, start: 0.001}"
    assert_killed_equals_whole(tmp_path, "PPO", (linear,))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["a1-velocity-random", "humanoid-run"])
def test_tasks_whose_contacts_the_engine_loses_are_continued_exactly(
    tmp_path: Path, task: str
) -> None:
    # Repeating an episode brings the same contacts back by another way: what the engine does with
    # them is the same (env_conformance checks it), but its own bytes are not.
    short = (f"env.id={task}", "env.max_episode_steps=40")
    assert_killed_equals_whole(tmp_path, "PPO", short, without=("environments.npz",))


@pytest.mark.slow
def test_hindsight_on_an_arm_is_continued_exactly(tmp_path: Path) -> None:
    reach = ("env.id=panda-reach", "env.max_episode_steps=15", *ONE_ENV)
    hindsight = {"goals_per_transition": 2}
    assert_killed_equals_whole(tmp_path, "SAC", reach, her=hindsight)
