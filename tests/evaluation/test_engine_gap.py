"""The report on two engines tells what differs, and from when on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roboyard.config.schema import EnvConfig
from roboyard.envs.task_env import TaskEnv
from roboyard.errors import ConfigError
from roboyard.evaluation.engine_gap import GapReport, compare_engines
from roboyard.evaluation.engine_gap.environments import task_env
from roboyard.evaluation.engine_gap.open_loop import open_loop, term_gaps
from roboyard.evaluation.engine_gap.report import write_report
from roboyard.evaluation.engine_gap.static import differences, static_facts
from roboyard.sim import Dynamics

CARTPOLE = EnvConfig(id="cartpole-balance")


@pytest.fixture(scope="module")
def report() -> GapReport:
    return compare_engines("zero", env=CARTPOLE, episodes=2, allowed=("friction",))


def test_the_same_engine_twice_has_no_gap() -> None:
    one, other = (task_env(CARTPOLE, "mujoco") for _ in range(2))
    assert differences([static_facts(one), static_facts(other)]) == []
    gap = open_loop([one, other], "contact", 0.2, seed=0)
    assert gap.diverged is None
    assert max(gap.errors) == 0.0
    actions = [one.action_space.sample() for _ in range(5)]
    assert all(term.first_frame is None for term in term_gaps([one, other], actions, 0))
    for env in (one, other):
        env.close()


def test_a_heavier_link_is_named_and_fails_unless_allowed() -> None:
    one = task_env(CARTPOLE, "mujoco")
    other = TaskEnv("cartpole-balance", overrides={"world": {"engine": "mujoco"}})
    link = other.robot.link_names[-1]
    other.world.set_dynamics(other.robot.body, len(other.robot.link_names) - 1, Dynamics(mass=77.0))
    found = differences([static_facts(one), static_facts(other)])
    assert ("mass", link) in [(gap.kind, gap.where) for gap in found]
    one.close()
    other.close()


def test_a_report_has_every_part(report: GapReport, tmp_path: Path) -> None:
    text, data, picture = write_report(report, tmp_path / "gap")
    assert picture.read_bytes().startswith(b"\x89PNG")
    content = json.loads(data.read_text())
    assert set(content["closed_loop"]) == {"pybullet", "mujoco"}
    assert [gap["place"] for gap in content["open_loop"]] == ["air", "contact"]
    assert content["terms"]
    assert "95 % interval" in text.read_text()


def test_one_engine_is_no_comparison() -> None:
    with pytest.raises(ConfigError, match="two different"):
        compare_engines("zero", ("mujoco", "mujoco"), env=CARTPOLE)


def test_an_environment_without_a_task_is_refused() -> None:
    with pytest.raises(ConfigError, match="not described by a task"):
        task_env(EnvConfig(id="roboyard/hopper-v5"), "mujoco")
