"""Threads of the learner: lanes where networks can learn apart, one thread where they are small."""

import os

import gymnasium
import numpy as np
import pytest

from roboyard.config.schema import ExperimentConfig
from roboyard.training.device import choose_threads

VECTOR = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
IMAGE = gymnasium.spaces.Box(0, 255, (36, 36, 3), np.uint8)


def threads(algorithm, widths, given="auto", space=VECTOR, device="cpu", cores=2):
    config = ExperimentConfig.model_validate({
        "name": "threads",
        "env": {"id": "roboyard/SimpleRobot-v0"},
        "agent": {"algorithm": algorithm, "network": {"actor": widths, "critic": widths}},
        "train": {"total_steps": 1000, "threads": given},
    })  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda _: range(cores))
        return tuple(choose_threads(config, space, device))


def test_actor_and_critics_of_middle_size_learn_side_by_side_on_one_thread_each():
    for algorithm in ("PPO", "SAC", "TD3"):
        assert threads(algorithm, [256, 256]) == (1, 2)


def test_the_threads_of_an_operation_do_not_depend_on_the_cores():
    for cores in (1, 2, 64):
        assert threads("SAC", [400, 300], cores=cores)[0] == 1


def test_small_networks_learn_on_one_thread():
    assert threads("PPO", [64, 64]) == (1, 1)


def test_algorithms_without_lanes_and_images_use_the_threads_of_torch():
    assert threads("TQC", [400, 300], cores=4) == (4, 1)
    assert threads("PPO", [64, 64], space=IMAGE, cores=4) == (4, 1)


def test_an_accelerator_needs_one_thread():
    assert threads("SAC", [400, 300], device="cuda") == (1, 1)


def test_given_threads_are_shared_out_to_the_lanes():
    assert threads("SAC", [400, 300], given=1) == (1, 1)
    assert threads("SAC", [400, 300], given=2) == (1, 2)
    assert threads("SAC", [2048, 2048], given=8) == (4, 2)
    assert threads("TQC", [400, 300], given=3) == (3, 1)
