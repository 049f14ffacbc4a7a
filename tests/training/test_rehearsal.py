"""What training would refuse, validation refuses; what it would take, validation takes."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import pytest
import yaml

from roboyard.config.schema import EnvConfig
from roboyard.envs.factory import make_env
from roboyard.errors import RoboyardError
from roboyard.training.policy_bundles import describe_envs
from roboyard.training.rehearsal import rehearse

SHORT = {"total_steps": 64}


def stacked(render_mode: str | None = None) -> gymnasium.Env:
    env = make_env(EnvConfig(id="roboyard/SimpleRobot-v0"))
    return gymnasium.wrappers.FrameStackObservation(env, 3)


class Late(gymnasium.Env):
    """Breaks at the end of its first episode."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        super().reset(seed=seed)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action: object) -> tuple:
        self.steps += 1
        assert self.steps < 5, "the gripper is stuck"
        return self.observation_space.sample(), 0.0, False, False, {}


def written(folder: Path, env: dict[str, object]) -> Path:
    agent = {"algorithm": "PPO", "hyperparameters": {"n_steps": 32, "batch_size": 32}}
    config = {"name": "trial", "store": str(folder), "env": env, "agent": agent, "train": SHORT}
    path = folder / "trial.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_push_on_a_fixed_base_is_refused_before_it_is_due(tmp_path: Path) -> None:
    push = {"term": "push", "on": "interval", "interval_s": [50, 60], "params": {"x": 1.0}}
    env = {"id": "reacher", "kwargs": {"overrides": {"events": {"push": push}}}}
    with pytest.raises(RoboyardError, match=r"events\.push: robot 'reacher' has a fixed base"):
        rehearse(written(tmp_path, env))


def test_an_environment_that_fails_later_is_refused_in_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, {"id": f"{__name__}:Late"})
    with pytest.raises(RoboyardError, match="end with AssertionError: the gripper is stuck"):
        rehearse(path)
    assert [file.name for file in tmp_path.iterdir()] == ["trial.yaml"]


def test_stacked_observations_are_trained_without_names() -> None:
    contract = describe_envs(EnvConfig(id=f"{__name__}:stacked"))
    assert contract.observations == {}
    assert contract.actions


def test_a_replay_buffer_beyond_the_machine_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, {"id": "roboyard/SimpleRobot-v0"})
    config = yaml.safe_load(path.read_text())
    config["agent"] = {"algorithm": "SAC", "hyperparameters": {"buffer_size": 10**11}}
    config["train"] = {"total_steps": 1000}
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(RoboyardError, match=r"buffer_size 100,000,000,000.* needs about"):
        rehearse(path)
