"""Settings that are right alone and wrong together are refused before anything starts."""

from __future__ import annotations

import pytest

from roboyard.config.load import load
from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError


def base(algorithm: str) -> dict[str, object]:
    return {
        "name": "x",
        "env": {"id": "a:B"},
        "agent": {"algorithm": algorithm},
        "train": {"total_steps": 10_000},
    }


H = "agent.hyperparameters"


@pytest.mark.parametrize(
    ("algorithm", "overrides", "message"),
    [
        ("PPO", [f"{H}.batch_size=100"],
         f"{H}.batch_size: 100 does not divide the rollout (n_steps * env.num_envs = 2048 * 1 = "
         "2048), which would leave a truncated minibatch. Nearest that does: 128."),
        ("RecurrentPPO", [f"{H}.n_steps=100", "env.num_envs=2"], f"{H}.batch_size: 128 does not"),
        ("TRPO", [f"{H}.n_steps=100"], f"{H}.batch_size: 128 does not divide the rollout"),
        ("PPO", [f"{H}.batch_size=4096"], "Nearest that does: 2048."),
        ("PPO", [f"{H}.n_steps=1"], f"{H}.n_steps: must be larger: n_steps * env.num_envs = 1"),
        ("PPO", [f"{H}.batch_size=1"], f"{H}.batch_size: must be at least 2, or normalize_advant"),
        ("A2C", [f"{H}.n_steps=1", f"{H}.normalize_advantage=true"], "must be larger"),
        ("SAC", [f"{H}.learning_starts=10000"],
         f"{H}.learning_starts: 10000 must be less than train.total_steps (10000); otherwise "),
        ("TD3", [f"{H}.buffer_size=2", "env.num_envs=4"], f"{H}.buffer_size: 2 must be at least"),
        ("SAC", [f"{H}.optimize_memory_usage=true", f"{H}.n_steps=3"], "does not work with n_st"),
        ("SAC", [f"{H}.use_sde=true", "agent.action_noise={sigma: 0.1}"],
         "agent.action_noise: does not go with use_sde"),
        ("SAC", [f"{H}.use_sde_at_warmup=true"], f"{H}.use_sde_at_warmup: needs use_sde: true."),
        ("SAC", ["agent.her={}", f"{H}.optimize_memory_usage=true"], "does not work with agent"),
        ("SAC", ["agent.her={}", f"{H}.n_steps=3"], f"{H}.n_steps: n-step returns do not work"),
        ("ARS", ["env.normalize.rewards=true"], "env.normalize.rewards: must be false: ARS"),
        ("ARS", ["agent.network.critic=[8]"], "agent.network.critic: ARS has no critic."),
        ("ARS", [f"{H}.n_top=9"], f"{H}: n_top (9) must be at most n_delta (8)."),
        ("PPO", ["agent.network.lstm_size=8"], "agent.network.lstm_size: PPO has no LSTM."),
        ("PPO", ["agent.network.num_critics=3"], "num_critics: PPO has a fixed number of critics."),
        ("TD3", ["agent.network.log_std_init=-1"], "agent.network.log_std_init: TD3's policy"),
        ("A2C", ["agent.backend=jax"],
         "agent.backend: jax does not have A2C. It has: PPO, SAC, TD3, TQC, CrossQ. Use one of "),
        ("PPO", ["agent.backend=jax", "agent.network.activation='my:Layer'"],
         "agent.network.activation: agent.backend jax cannot compile 'my:Layer'. Use a built-in"),
        ("PPO", ["agent.backend=jax", "agent.network.extractor.type='my:Layer'"],
         "agent.network.extractor.type: agent.backend jax cannot compile 'my:Layer'."),
        ("PPO", ["evaluation.during_training=no", "early_stop.patience=3"],
         "early_stop.patience: needs evaluation.during_training: true."),
    ],
)  # fmt: skip
def test_conflict(algorithm: str, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(base(algorithm), overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("algorithm", ["PPO", "RecurrentPPO", "A2C", "TRPO", "ARS", "SAC", "TD3",
                                       "TQC", "CrossQ"])  # fmt: skip
def test_defaults_have_no_conflict(algorithm: str) -> None:
    assert load(base(algorithm)).agent.algorithm == algorithm


def test_all_conflicts_are_reported_with_their_places() -> None:
    overrides = [f"{H}.batch_size=100", "agent.network.lstm_size=8"]
    with pytest.raises(ConfigError) as caught:
        load(base("PPO"), overrides)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["override", f"{H}.batch_size"],
        ["override", "agent.network.lstm_size"],
    ]


def test_records_made_in_python_are_checked_too() -> None:
    data = {**base("PPO"), "env": {"id": "a:B", "num_envs": 3}}
    data["agent"] = {"algorithm": "PPO", "hyperparameters": {"n_steps": 7}}
    with pytest.raises(ValueError, match="64 does not divide the rollout"):
        ExperimentConfig.model_validate(data)


def test_custom_algorithms_are_left_to_their_class() -> None:
    data = base("SAC") | {"agent": {"algorithm": "mine:Algo", "hyperparameters": {"x": [1]}}}
    assert load(data, ["agent.network.lstm_size=8"]).agent.algorithm == "mine:Algo"
