"""Where the time of a run goes, measured without changing the run."""

from __future__ import annotations

import json

import gymnasium
import numpy as np
import pytest
from training_runs import fingerprint, run_path, tiny_config, train

from roboyard.envs.task_env import TaskEnv
from roboyard.envs.timing import work_time
from roboyard.evaluation.breakdown import PHASES


def profile_of(config, run_id: str) -> dict:
    return json.loads((run_path(config, run_id) / "profile.json").read_text())


@pytest.mark.parametrize(("algorithm", "workers"), [("PPO", 2), ("SAC", 0)])
def test_a_profiled_run_has_the_weights_of_one_that_is_not(tmp_path, algorithm, workers):
    config = tiny_config(tmp_path, algorithm, (f"env.workers={workers}",))
    train(config, run_id="plain")
    train(config, run_id="profiled", profile=True)
    runs = [run_path(config, name) for name in ("plain", "profiled")]
    assert fingerprint(runs[0]) == fingerprint(runs[1])
    assert not (runs[0] / "profile.json").exists()
    profile = profile_of(config, "profiled")
    assert (profile["workers"], profile["num_envs"], profile["steps"]) == (workers, 2, 192)
    assert set(profile["phases"]) == set(PHASES)
    # Physics is measured where it happens, in worker processes too.
    assert all(spent > 0 for spent in profile["phases"].values())
    assert sum(profile["phases"].values()) == pytest.approx(profile["wall_s"], rel=0.05)


def test_the_report_of_a_profiled_run_tells_where_the_time_went(tmp_path):
    config = tiny_config(tmp_path)
    page = (train(config, profile=True).run_dir / "report" / "report.md").read_text()
    assert "## Where the time went" in page
    assert "torch on cpu (" in page
    for phase, meaning in PHASES.items():
        assert any(line.startswith(f"| {phase} |") and meaning in line for line in page.split("\n"))
    page = (train(config).run_dir / "report" / "report.md").read_text()
    assert "Where the time went" not in page


def test_a_continued_run_profiles_its_own_part(tmp_path):
    config = tiny_config(tmp_path, "PPO", ("train.total_steps=96",))
    train(config, run_id="a")
    longer = tiny_config(tmp_path)
    train(longer, resume_from=run_path(config, "a"), profile=True)
    profile = profile_of(config, "a")
    assert (profile["first_step"], profile["steps"]) == (96, 96)


def test_environments_of_others_have_no_physics_of_their_own(tmp_path):
    config = tiny_config(tmp_path, "PPO", ("env.id=Pendulum-v1",))
    page = (train(config, profile=True).run_dir / "report" / "report.md").read_text()
    assert "do not tell how much of their time is physics" in page
    assert "| physics |" not in page


def test_timing_an_environment_leaves_others_and_their_class_alone():
    timed, other = (gymnasium.wrappers.TimeLimit(TaskEnv("hopper-run"), 50) for _ in range(2))
    classes = (TaskEnv.step, type(timed.unwrapped.world).step)
    assert work_time(timed) == (0.0, 0.0)
    timed.reset(seed=0)
    timed.step(np.zeros(3, np.float32))
    total, physics = work_time(timed)
    assert total > physics > 0
    assert "step" not in vars(other) and "step" not in vars(other.unwrapped.world)
    assert classes == (TaskEnv.step, type(timed.unwrapped.world).step)
    timed.close(), other.close()


def test_a_search_without_updates_is_profiled_too(tmp_path):
    config = tiny_config(tmp_path, "ARS")
    train(config, run_id="a", profile=True)
    phases = profile_of(config, "a")["phases"]
    assert phases["physics"] > 0
    assert phases["learning"] == 0
