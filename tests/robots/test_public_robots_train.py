"""Robots of public packages are trained with YAML only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

import public_descriptions
from roboyard.config.load import load
from roboyard.envs.task_env import TaskEnv
from roboyard.training.trainer import Trainer

ROBOTS = {
    "panda_description/urdf/panda.urdf": {"fixed_base": True},
    "ur_description/urdf/ur5_gripper.urdf": {"fixed_base": True},
    "allegro_hand_description/urdf/allegro_right_hand.urdf": {"fixed_base": True},
    "allegro_hand_description/urdf/allegro_left_hand.urdf": {"fixed_base": True},
    "go2_description/urdf/go2.urdf": {"position": [0, 0, 0.4]},
    "anymal_c_simple_description/urdf/anymal.urdf": {"position": [0, 0, 0.7]},
    "icub_description/robots/icub_reduced.urdf": {"position": [0, 0, 0.65]},
    "g1_description/urdf/g1_29dof_rev_1_0.urdf": {"position": [0, 0, 0.8]},
    "stretch_description_RE1V0_tool_stretch_gripper.urdf": {"position": [0, 0, 0.02]},
    "iris_description/robots/iris_simple.urdf": {
        "position": [0, 0, 1],
        "actuators": [{"control": "thrust", "links": ["base"], "scale": 2.0, "offset": 14.7}],
    },
}
TILTED = 1.2
"""Where an episode of a floating robot ends [rad]."""


def task_of(name: str) -> dict[str, object]:
    (file,) = [
        file for file in public_descriptions.files(".urdf", "<robot") if str(file).endswith(name)
    ]
    position = [{"joints": ["*"], "control": "position", "scale": 0.1, "offset": "initial"}]
    robot = {"file": str(file), "actuators": position, **ROBOTS[name]}
    joints = {"joints": {"term": "joint_positions"}, "speeds": {"term": "joint_velocities"}}
    flies = "iris" in name
    return {
        "robot": robot,
        "world": {"time_step": 0.005},
        "substeps": 4,
        "ground": {"type": "plane"},
        "max_episode_steps": 100,
        "observations": {"gravity": {"term": "projected_gravity"}, **({} if flies else joints)},
        "rewards": {"alive": {"term": "alive"}},
        "terminations": {"tilted": {"params": {"limit": TILTED}}},
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ROBOTS, ids=lambda name: Path(name).stem)
def test_a_real_robot_trains_and_its_episodes_have_sane_lengths(name: str, tmp_path: Path) -> None:
    config = {
        "name": "real",
        "store": str(tmp_path),
        "env": {"id": "roboyard/Task-v0", "task": task_of(name), "num_envs": 1},
        "agent": {
            "algorithm": "PPO",
            "hyperparameters": {"n_steps": 128, "batch_size": 64, "n_epochs": 2},
        },
        "train": {"total_steps": 256},
        "evaluation": {"during_training": False, "final_episodes": 2, "num_envs": 1},
        "video": {"final": False},
    }
    file = tmp_path / "real.yaml"
    file.write_text(yaml.safe_dump(config))
    Trainer(load(file), progress=False).train()
    (run,) = (tmp_path / "real").iterdir()
    final = json.loads((run / "final_evaluation.json").read_text())
    assert np.isfinite(final["returns"]).all()
    assert 8 <= np.mean(final["lengths"]) <= 100


@pytest.mark.slow
@pytest.mark.parametrize("name", ROBOTS, ids=lambda name: Path(name).stem)
def test_a_snapshot_of_a_real_robot_in_mid_episode_is_exact(name: str) -> None:
    env = TaskEnv(task_of(name))
    env.reset(seed=1)
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (20, *env.action_space.shape)).astype(np.float32)
    for action in actions[:10]:
        env.step(action)
    kept = env.snapshot()
    first = [env.step(action)[0] for action in actions[10:]]
    env.restore(kept)
    again = [env.step(action)[0] for action in actions[10:]]
    env.close()
    np.testing.assert_array_equal(first, again)
