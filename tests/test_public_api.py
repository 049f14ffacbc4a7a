"""What ``import roboyard`` promises."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

import roboyard

ROOT = Path(__file__).parent.parent


def test_every_exported_name_exists() -> None:
    for name in roboyard.__all__:
        assert getattr(roboyard, name) is not None
    assert set(roboyard.__all__) <= set(dir(roboyard))


def test_the_exported_names_are_these() -> None:
    assert roboyard.__all__ == [
        "BaseRobotEnv",
        "Evaluator",
        "ExperimentConfig",
        "PolicyBundle",
        "RoboyardError",
        "SimpleRobotEnv",
        "TrainResult",
        "Trainer",
        "evaluate",
        "load_config",
        "load_policy",
        "train",
    ]


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        roboyard.trian  # noqa: B018


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import json, sys, roboyard; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(json.loads(done.stdout))
    assert not loaded & {"torch", "pybullet", "stable_baselines3", "numpy", "gymnasium", "pydantic"}


def test_the_version_is_that_of_the_distribution() -> None:
    assert roboyard.__version__ == importlib.metadata.version("roboyard")


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_config_loads_and_says_what_it_shows(path: Path) -> None:
    config = roboyard.load_config(path)
    assert config.name == path.stem
    assert path.read_text().startswith("# ")


def test_train_and_evaluate_from_python(tmp_path: Path) -> None:
    result = roboyard.train(
        ROOT / "configs" / "cartpole.yaml",
        [
            f"store={tmp_path}",
            "train.total_steps=1024",
            "evaluation.final_episodes=2",
            "evaluation.episodes=2",
            "evaluation.every_steps=1024",
            "video.final=false",
        ],
    )
    policy = roboyard.load_policy(result.run_dir)
    actions, _ = policy.predict(policy.observation_space.sample()[None])
    assert actions.shape == (1, 1)
    measured = roboyard.evaluate(result.run_dir, episodes=3)
    assert len(measured.returns) == 3
    assert measured.mean > roboyard.evaluate("zero", ROOT / "configs/cartpole.yaml", episodes=3).std
