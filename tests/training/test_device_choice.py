"""Where networks live, and the reason."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch

from roboyard.config.load import load
from roboyard.config.networks import NetworkConfig
from roboyard.errors import ConfigError
from roboyard.training.device import choose_device

NUMBERS = gymnasium.spaces.Box(-1.0, 1.0, (28,), np.float32)
PICTURES = gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8)
MIXED = gymnasium.spaces.Dict({"camera": PICTURES, "joints": NUMBERS})


def config(width=64, algorithm="PPO", backend="torch", **sections):
    return load(
        {
            "name": "x",
            "env": {"id": "roboyard/SimpleRobot-v0", **sections.pop("env", {})},
            "agent": {
                "algorithm": algorithm,
                "backend": backend,
                "network": {"actor": [width], "critic": [width]},
            },
            "train": {"total_steps": 1000, **sections.pop("train", {})},
        }
    )


@pytest.mark.parametrize(
    ("width", "space", "device", "reason"),
    [
        (128, NUMBERS, "cpu", "so small that copying to an accelerator costs more"),
        (256, NUMBERS, "cuda", "a step of the networks is launched as one graph there"),
        (1024, NUMBERS, "cuda", "layers of 1024 units or more"),
        (64, PICTURES, "cuda", "convolutions on images"),
        (64, MIXED, "cuda", "convolutions on images"),
    ],
)
def test_auto_takes_the_accelerator_only_for_what_gains(monkeypatch, width, space, device, reason):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    chosen = choose_device(config(width), space)
    assert chosen.device == device
    assert reason in chosen.reason


@pytest.mark.parametrize(
    ("algorithm", "width", "device", "reason"),
    [
        ("PPO", 64, "cuda", "a whole update is one call"),
        ("SAC", 256, "cuda", "a whole update is one call"),
        ("SAC", 64, "cpu", "so small that copying"),
    ],
)
def test_compiled_updates_go_to_the_accelerator_where_one_call_takes_them_all(
    monkeypatch, algorithm, width, device, reason
):
    monkeypatch.setattr("roboyard.training.device.has_accelerator", lambda _: True)
    chosen = choose_device(config(width, algorithm, "jax"), NUMBERS)
    assert chosen.device == device
    assert reason in chosen.reason


@pytest.mark.parametrize(("algorithm", "device"), [("TD3", "cuda"), ("TQC", "cpu"), ("A2C", "cpu")])
def test_networks_of_default_width_go_where_their_algorithm_has_graphs(
    monkeypatch, algorithm, device
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    given = config(algorithm=algorithm)
    given = given.model_copy(
        update={"agent": given.agent.model_copy(update={"network": NetworkConfig()})}
    )
    assert choose_device(given, NUMBERS).device == device


def test_without_an_accelerator_auto_says_so_and_cuda_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(config(), NUMBERS) == ("cpu", "torch finds no CUDA device")
    with pytest.raises(ConfigError, match=r"no CUDA device on this machine\. Use 'auto' or 'cpu'"):
        choose_device(config(train={"device": "cuda"}), NUMBERS)


def test_the_users_word_counts(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device(config(train={"device": "cuda"}), NUMBERS).device == "cuda"
