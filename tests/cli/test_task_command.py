"""``roboyard task``, and tasks in ``roboyard play``, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roboyard.envs.tasks import list_tasks

RUN = """
name: mine
env: {task: {extends: TASK, rewards: {alive: {weight: 3}}}}
agent: {algorithm: PPO}
train: {total_steps: 128}
"""


@pytest.fixture
def run_config(tmp_path: Path) -> Path:
    """Return a run's config whose task is a changed hopper-run."""
    from roboyard.envs.tasks import LIBRARY

    file = tmp_path / "mine.yaml"
    file.write_text(RUN.replace("TASK", str(LIBRARY / "hopper-run.yaml")))
    return file


def test_show_names_every_entry_with_its_unit(roboyard) -> None:
    outcome = roboyard("task", "show", "hopper-run", "--json")
    assert outcome.code == 0, outcome.err
    record = json.loads(outcome.out)
    names = [entry["name"] for entry in record["observations"]["observation"]]
    assert record["shapes"] == {"observation": [15]}
    assert len(names) == len(set(names)) == 15
    assert names[0] == "height"
    assert names[8:10] == ["joints.thigh_joint.position", "joints.thigh_joint.velocity"]
    assert names[-1] == "feet.foot"
    assert record["observations"]["observation"][0]["unit"] == "m"
    assert record["actions"][0] == {
        "name": "thigh_joint", "control": "torque", "unit": "N m", "scale": 75.0, "offset": 0.0
    }  # fmt: skip
    assert record["terms"]["rewards"][2]["settings"]["weight"] == -2.0
    assert record["rates"]["episode"] == "1000 control steps (16.5 s)"


@pytest.mark.parametrize("task", list_tasks())
def test_every_task_of_the_library_can_be_shown(task: str, roboyard) -> None:
    outcome = roboyard("task", "show", task)
    assert outcome.code == 0, outcome.err
    for words in ("physics step", "control step", "rewards", "observations", "action: "):
        assert words in outcome.out


def test_forces_of_slides_are_newtons(roboyard) -> None:
    record = json.loads(roboyard("task", "show", "cartpole-balance", "--json").out)
    assert record["actions"][0]["unit"] == "N"


def test_show_takes_the_config_of_a_run_with_overrides(roboyard, run_config: Path) -> None:
    def weight(*options: str) -> float:
        outcome = roboyard("task", "show", str(run_config), "--json", *options)
        assert outcome.code == 0, outcome.err
        (alive,) = [r for r in json.loads(outcome.out)["terms"]["rewards"] if r["name"] == "alive"]
        return alive["settings"]["weight"]

    assert weight() == 3
    assert weight("--set", "env.task.rewards.alive.weight=7") == 7


def test_distributions_and_commands_are_spelled_out(roboyard) -> None:
    example = Path(__file__).parents[2] / "examples" / "your-own-robot" / "train.yaml"
    outcome = roboyard("task", "show", str(example))
    assert outcome.code == 0, outcome.err
    for words in ("tilt={type: uniform, low: 0, high: 0.1}", "asked.forward", "wheels.left_axle"):
        assert words in outcome.out
    record = json.loads(roboyard("task", "show", str(example), "--json").out)
    assert record["terms"]["commands"][0]["params"]["forward"]["high"] == 0.5


def test_what_is_no_task_is_one_line(roboyard) -> None:
    wrong = (
        ("hoper-run", "Did you mean 'hopper-run'?"),
        ("tiny.yaml", "trains on 'roboyard/SimpleRobot-v0', which is no task of terms"),
        ("none.yaml", "none.yaml"),
    )
    for name, words in wrong:
        outcome = roboyard("task", "show", name)
        assert outcome.code == 2
        assert words in outcome.err
        assert outcome.err.count("\n") == 1


def test_tasks_are_listed_with_what_they_are(roboyard) -> None:
    assert "Hop forward" in roboyard("task", "list").out


@pytest.mark.parametrize("policy", ["random", "zero"])
def test_a_task_is_played_before_it_is_trained(
    policy: str, roboyard, run_config: Path, tmp_path: Path
) -> None:
    outcome = roboyard(
        "play", str(run_config), "--policy", policy, "--video", "look.mp4", "--max-steps", "8",
        "--size", "64x48",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "look.mp4").stat().st_size > 0
