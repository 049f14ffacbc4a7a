"""Threads of the learner: one for small networks, some of the cores for larger ones."""

import os

import gymnasium
import numpy as np
import pytest

from roboyard.config.schema import ExperimentConfig
from roboyard.training.device import choose_threads

VECTOR = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
IMAGE = gymnasium.spaces.Box(0, 255, (36, 36, 3), np.uint8)


def threads(
    algorithm, widths, given="auto", space=VECTOR, device="cpu", cores=2, backend="auto", workers=0
):
    config = ExperimentConfig.model_validate({
        "name": "threads",
        "env": {"id": "roboyard/SimpleRobot-v0", "num_envs": 8, "workers": workers},
        "agent": {
            "algorithm": algorithm,
            "backend": backend,
            "network": {"actor": widths, "critic": widths},
        },
        "train": {"total_steps": 1000, "threads": given},
    })  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda _: range(cores))
        return choose_threads(config, space, device)


@pytest.mark.parametrize("cores", [1, 2, 64])
def test_small_networks_learn_on_one_thread(cores):
    assert threads("PPO", [64, 64], cores=cores) == 1
    assert threads("SAC", [128, 128], cores=cores) == 1


def test_larger_networks_and_images_use_up_to_four_cores():
    for cores, expected in ((1, 1), (2, 2), (4, 4), (64, 4)):
        assert threads("TQC", [400, 300], cores=cores) == expected
        assert threads("PPO", [64, 64], space=IMAGE, cores=cores) == expected


def test_each_worker_process_keeps_a_core():
    assert threads("SAC", [256, 256], cores=4, workers=2) == 2
    assert threads("SAC", [256, 256], cores=2, workers=4) == 1


def test_an_accelerator_needs_one_thread():
    assert threads("SAC", [400, 300], device="cuda", cores=4) == 1


@pytest.mark.parametrize("backend", ["torch", "jax", "auto"])
def test_given_threads_count(backend):
    assert threads("SAC", [64, 64], given=3, backend=backend) == 3
    assert threads("PPO", [64, 64], given=1, cores=4, backend=backend, space=IMAGE) == 1
