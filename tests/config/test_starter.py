"""The starter config is right as it is, and right when its comments become keys."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roboyard.config.agents import BUILTIN_AGENTS
from roboyard.config.load import load
from roboyard.config.starter import starter
from roboyard.errors import ConfigError


def loaded(tmp_path: Path, text: str) -> object:
    path = tmp_path / "starter.yaml"
    path.write_text(text)
    return load(path)


@pytest.mark.parametrize("algorithm", [*BUILTIN_AGENTS, "ppo", "mine:Algo"])
def test_starter_loads(tmp_path: Path, algorithm: str) -> None:
    config = loaded(tmp_path, starter("runs/my first.yaml", algorithm, "Pendulum-v1"))
    assert config.name == "my-first"  # type: ignore[attr-defined]
    assert config.agent.algorithm.lower() == algorithm.lower()  # type: ignore[attr-defined]
    assert config.env.id == "Pendulum-v1"  # type: ignore[attr-defined]


@pytest.mark.parametrize("algorithm", list(BUILTIN_AGENTS))
def test_commented_keys_are_right_and_show_the_defaults(tmp_path: Path, algorithm: str) -> None:
    text = starter("x.yaml", algorithm, "a:B")
    uncommented = re.sub(r"(?m)^( *)# (?=[a-z_]+:)", r"\1", text)
    assert uncommented.count("\n") == text.count("\n")
    assert uncommented != text
    assert loaded(tmp_path, uncommented) == loaded(tmp_path, text)


@pytest.mark.parametrize(
    "name", ["---.yaml", "\u00e9.yaml", "a/b/c.yml", "x" * 200, "on.yaml", "12.yaml"]
)
def test_any_file_name_gives_a_valid_experiment_name(tmp_path: Path, name: str) -> None:
    loaded(tmp_path, starter(name, "PPO", "a:B"))


@pytest.mark.parametrize("env_id", ["on", "1", "a: b", "${env:HOME}", "#x", '"', "new\nline: 1"])
def test_odd_environment_ids_stay_text(tmp_path: Path, env_id: str) -> None:
    assert loaded(tmp_path, starter("x.yaml", "PPO", env_id)).env.id == env_id  # type: ignore[attr-defined]


def test_unknown_algorithm_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"unknown algorithm 'SAK'.*Did you mean 'SAC'"):
        starter("x.yaml", "SAK", "a:B")
