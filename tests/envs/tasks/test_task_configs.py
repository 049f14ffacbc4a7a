"""A task of one's own inside an experiment: a mapping or a file, found from where it is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from roboyard.config.load import load, to_yaml
from roboyard.envs import make_env
from roboyard.envs.task_env import TaskEnv
from roboyard.errors import ConfigError

URDF = """<robot name="arm">
  <link name="foot"/>
  <link name="rod">
    <inertial><mass value="1"/><origin xyz="0 0 0.5"/>
      <inertia ixx="0.08" iyy="0.08" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial>
  </link>
  <joint name="elbow" type="revolute"><parent link="foot"/><child link="rod"/>
    <axis xyz="0 1 0"/><limit lower="-2" upper="2" effort="5" velocity="9"/></joint>
</robot>"""
ROBOT = """
file: arm.urdf
fixed_base: true
actuators: [{joints: ["*"], scale: 5}]
"""
TASK = """
robot: robots/arm.yaml
max_episode_steps: 40
observations:
  angle: {term: joint_positions}
rewards:
  upright: {term: joint_upright, params: {joint: elbow}}
"""
EXPERIMENT = """
name: arm
env: {task: tasks/balance.yaml}
agent: {algorithm: PPO}
train: {total_steps: 100}
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    files = {
        "run.yaml": EXPERIMENT,
        "tasks/balance.yaml": TASK,
        "tasks/robots/arm.yaml": ROBOT,
        "tasks/robots/arm.urdf": URDF,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path / "run.yaml"


def test_files_are_found_from_where_they_are_named(experiment: Path) -> None:
    env = make_env(load(experiment).env)
    assert isinstance(env, TaskEnv)
    assert env.robot.joint_names == ("elbow",)
    env.close()


def test_the_resolved_config_holds_the_whole_task(experiment: Path, tmp_path: Path) -> None:
    text = to_yaml(load(experiment))
    for name in ("balance.yaml", "robots/arm.yaml"):
        (tmp_path / "tasks" / name).unlink()
    (tmp_path / "resolved.yaml").write_text(text)
    env = make_env(load(tmp_path / "resolved.yaml").env)
    env.reset(seed=0)
    assert env.step(np.zeros(1, np.float32))[1] == pytest.approx(1.0, abs=1e-3)
    env.close()


def test_overrides_reach_into_the_task(experiment: Path) -> None:
    config = load(experiment, ["env.task.rewards.upright.weight=3", "env.task.substeps=2"])
    env = make_env(config.env)
    env.reset(seed=0)
    assert env.step(np.zeros(1, np.float32))[1] == pytest.approx(3.0, abs=1e-2)
    assert env.unwrapped.control_period == pytest.approx(2 / 240)
    env.close()


def test_a_mistake_in_a_task_file_names_file_and_line(experiment: Path) -> None:
    task = experiment.parent / "tasks" / "balance.yaml"
    task.write_text(TASK.replace("max_episode_steps", "max_episod_steps"))
    with pytest.raises(ConfigError, match=r"balance\.yaml:3: .*Did you mean 'max_episode_steps'"):
        load(experiment)


def test_a_task_file_alone_makes_an_environment(experiment: Path) -> None:
    env = TaskEnv(experiment.parent / "tasks" / "balance.yaml")
    assert env.max_episode_steps == 40
    env.close()


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({}, "id is missing"),
        ({"id": "ant-run", "task": json.loads('{"robot": "ant"}')}, "task"),
        ({"task": "ant-run"}, "named by env.id"),
        ({"task": "nowhere.yaml"}, "no such file"),
    ],
)
def test_one_environment_must_be_named(env: dict[str, object], message: str) -> None:
    source = {"name": "x", "env": env, "agent": {"algorithm": "PPO"}, "train": {"total_steps": 1}}
    with pytest.raises(ConfigError, match=message):
        load(source)


def test_a_robot_changed_by_a_file_on_top_still_extends_what_its_own_file_names(
    experiment: Path,
) -> None:
    tasks = experiment.parent / "tasks"
    own = TASK.replace("robots/arm.yaml", "{extends: robots/arm.yaml}")
    (tasks / "balance.yaml").write_text(own)
    top = "extends: tasks/balance.yaml\nrobot: {joint_positions: {elbow: 0.5}}\n"
    (experiment.parent / "top.yaml").write_text(top)
    env = TaskEnv(experiment.parent / "top.yaml")
    assert env.robot.initial_positions.tolist() == [0.5]
    env.close()


def test_a_mesh_is_found_from_where_it_is_named(experiment: Path) -> None:
    tasks = experiment.parent / "tasks"
    (tasks / "tetra.obj").write_text(
        "v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nv 0 0 0.1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 1 4 3\n"
    )
    thing = "\nobjects: {tetra: {shape: mesh, file: tetra.obj, mass: 1, position: [1, 1, 1]}}\n"
    (tasks / "balance.yaml").write_text(TASK + thing)
    env = make_env(load(experiment).env)
    assert env.unwrapped.scene.things.keys() == {"tetra"}
    env.close()
