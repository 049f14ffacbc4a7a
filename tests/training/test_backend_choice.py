"""``agent.backend: auto``: what it stands for, that it is written down, and that it is kept."""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn
from training_runs import tiny_config, train

from roboyard.agents import backends
from roboyard.agents.networks import ACTIVATIONS
from roboyard.config.agents import AgentBase
from roboyard.config.load import load
from roboyard.testing.agent_configs import COMPILED_NAMES, small_agent
from roboyard.testing.fake_envs import IMAGE, VECTOR
from roboyard.training import device
from roboyard.training.device import resolve_backend


def agent(algorithm: str = "PPO", **sections: object) -> AgentBase:
    return small_agent(algorithm, **{"backend": "auto", **sections})


def test_auto_is_the_default() -> None:
    config = {"name": "x", "env": {"id": "hopper-run"}, "train": {"total_steps": 8192}}
    assert load({**config, "agent": {"algorithm": "PPO"}}).agent.backend == "auto"


@pytest.mark.parametrize("name", COMPILED_NAMES)
def test_jax_learns_where_it_is_installed_and_knows_the_algorithm(name: str) -> None:
    assert backends.choose_backend(agent(name)).backend == "jax"


@pytest.mark.parametrize(
    ("algorithm", "network", "reason"),
    [
        ("A2C", {}, "jax does not have A2C"),
        ("stable_baselines3:SAC", {}, "jax does not have stable_baselines3:SAC"),
        ("PPO", {"activation": "softplus"}, "jax does not know the activation 'softplus'"),
        ("PPO", {"activation": "torch.nn:Softplus"}, "the activation 'torch.nn:Softplus'"),
        (
            "PPO",
            {"extractor": {"type": "roboyard.testing.networks:Halved"}},
            "jax does not know the features extractor",
        ),
    ],
)
def test_torch_learns_what_jax_does_not_know(
    algorithm: str, network: dict[str, object], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ACTIVATIONS, "_entries", dict(ACTIVATIONS._entries))
    ACTIVATIONS.register("softplus", nn.Softplus)
    monkeypatch.setattr(backends.EXTRACTORS, "resolve", lambda name: nn.Module)
    chosen = backends.choose_backend(agent(algorithm, network=network))
    assert chosen.backend == "torch"
    assert reason in chosen.reason


def test_without_jax_torch_learns_and_says_how_to_be_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    chosen = backends.choose_backend(agent())
    assert chosen.backend == "torch"
    assert "pip install 'roboyard[jax]'" in chosen.reason


def test_jax_is_not_imported_to_choose_it() -> None:
    code = (
        "import sys; from roboyard.agents.backends import choose_backend;"
        "from roboyard.testing.agent_configs import small_agent;"
        "assert choose_backend(small_agent('PPO', backend='auto')).backend == 'jax';"
        "sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("accelerated", "width", "space", "expected"),
    [
        ((), 256, VECTOR, "jax"),
        (("torch",), 256, VECTOR, "torch"),
        (("torch",), 64, VECTOR, "jax"),
        (("torch", "jax"), 256, VECTOR, "jax"),
        (("torch", "jax"), 1024, VECTOR, "torch"),
        (("torch", "jax"), 256, IMAGE, "jax"),
    ],
)
def test_on_an_accelerator_the_backend_is_the_one_that_was_measured_faster(
    accelerated, width, space, expected, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(device, "has_accelerator", lambda backend: backend in accelerated)
    network = {"actor": [width], "critic": [width]}
    config = tiny_config(tmp_path, "PPO", backend="auto", network=network)
    assert resolve_backend(config, space).agent.backend == expected


def test_the_choice_stands_in_the_runs_config_and_a_continued_run_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny_config(tmp_path, "PPO", ("train.total_steps=64",), backend="auto")
    with caplog.at_level(logging.INFO, "roboyard"):
        run = train(config).run_dir
    assert "agent.backend is jax: its compiled updates are faster." in caplog.text
    assert load(run / "config.yaml").agent.backend == "jax"
    # Where the choice would now be another one, the run stays what it is.
    monkeypatch.setattr(
        device, "choose_backend", lambda _: backends.BackendChoice("torch", "a test")
    )
    longer = tiny_config(tmp_path, "PPO", ("train.total_steps=96",), backend="auto")
    train(longer, resume_from=run)
    assert load(run / "config.yaml").agent.backend == "jax"


def test_a_run_on_torch_is_not_continued_with_jax(tmp_path: Path) -> None:
    run = train(tiny_config(tmp_path, "PPO", ("train.total_steps=64",))).run_dir
    longer = tiny_config(tmp_path, "PPO", ("train.total_steps=96",), backend="auto")
    train(longer, resume_from=run)
    assert load(run / "config.yaml").agent.backend == "torch"
