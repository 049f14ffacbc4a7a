"""An override that makes another thing of a mapping keeps nothing of the old one."""

from __future__ import annotations

import pytest

from roboyard.config.load import load, to_dict

PPO = {
    "name": "a",
    "env": {"id": "roboyard/SimpleRobot-v0"},
    "agent": {
        "algorithm": "PPO",
        "hyperparameters": {"n_steps": 128, "learning_rate": 0.002},
        "network": {"actor": [8]},
    },
    "train": {"total_steps": 20_000},
}


@pytest.mark.parametrize("name", ["SAC", "sac", "TD3", "A2C", "stable_baselines3:SAC"])
def test_another_algorithm_has_its_own_defaults_and_what_overrides_give(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    rate = "agent.hyperparameters.learning_rate=0.01"
    choice = f"agent.algorithm={name}"
    written = load(PPO | {"agent": {"algorithm": name, "hyperparameters": {"learning_rate": 0.01}}})
    caplog.clear()
    for overrides in ([choice, rate], [rate, choice]):
        assert to_dict(load(PPO, overrides)) == to_dict(written)
    assert len(caplog.records) == 2
    assert "agent.hyperparameters, agent.network" in caplog.text


@pytest.mark.parametrize("name", ["PPO", "ppo"])
def test_the_same_algorithm_keeps_all(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert to_dict(load(PPO, [f"agent.algorithm={name}"])) == to_dict(load(PPO))
    assert not caplog.records


def test_a_schedule_of_another_shape_takes_no_end_from_the_old_one() -> None:
    schedule = {"type": "linear", "start": 0.1, "end": 0.05}
    agent = {"algorithm": "PPO", "hyperparameters": {"learning_rate": schedule}}
    path = "agent.hyperparameters.learning_rate"
    changed = load(PPO | {"agent": agent}, [f"{path}.type=cosine", f"{path}.start=0.1"])
    assert changed.agent.hyperparameters.learning_rate.end == 0.0
