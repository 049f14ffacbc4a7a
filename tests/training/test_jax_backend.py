"""Runs with the jax backend: bundles, threads, and what is learnt."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.numpy
import torch
from training_runs import last_checkpoint, tiny_config, train

from roboyard.config.load import load
from roboyard.envs.factory import make_env
from roboyard.policies.bundle.policy_bundle import PolicyBundle
from roboyard.policies.export.finalize import verify_graph

CARTPOLE = Path(__file__).parents[2] / "configs" / "cartpole.yaml"


def test_a_bundle_holds_all_that_was_learnt_and_a_graph_that_agrees(tmp_path: Path) -> None:
    result = train(tiny_config(tmp_path, "TD3", backend="jax"))
    checkpoint = last_checkpoint(result.run_dir) / "policy.safetensors"
    learned = safetensors.numpy.load_file(checkpoint)
    bundle = PolicyBundle.read(result.run_dir / "policy" / "last.zip")
    for name, tensor in bundle.policy().policy.state_dict().items():
        assert (learned[name] == tensor.numpy()).all(), name
    config = bundle.config.env
    parity = verify_graph(bundle, make_env=lambda: make_env(config), count=50)
    assert parity.largest_difference <= parity.tolerance


@pytest.mark.slow
def test_ppo_balances_the_pole_with_the_hyperparameters_of_torch(tmp_path: Path) -> None:
    overrides = ["agent.backend=jax", f"store={tmp_path}", "env.workers=0", "train.threads=1"]
    result = train(load(CARTPOLE, overrides))
    assert result.evaluation is not None
    assert result.evaluation.mean >= 475.0
    assert torch.get_num_threads() == 1
