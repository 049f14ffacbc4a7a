"""Small agent records for tests: every built-in algorithm, trained in a fraction of a second."""

from __future__ import annotations

from pydantic import JsonValue, TypeAdapter

from roboyard.config.agents import BUILTIN_AGENTS, AgentBase, AgentConfig
from roboyard.config.schema import ExperimentConfig

_ADAPTER: TypeAdapter[AgentBase] = TypeAdapter(AgentConfig)
_ON_POLICY: dict[str, JsonValue] = {"n_steps": 8, "batch_size": 8, "n_epochs": 1}
_OFF_POLICY: dict[str, JsonValue] = {"learning_starts": 4, "buffer_size": 200, "batch_size": 8}
SMALL: dict[str, dict[str, JsonValue]] = {
    "PPO": _ON_POLICY,
    "RecurrentPPO": _ON_POLICY,
    "A2C": {},
    "TRPO": {"n_steps": 8, "batch_size": 8},
    "ARS": {"n_delta": 1},
    "SAC": _OFF_POLICY,
    "TD3": _OFF_POLICY,
    "TQC": _OFF_POLICY,
    "CrossQ": _OFF_POLICY,
}
"""Hyperparameters that keep an update small."""

ALGORITHM_NAMES = tuple(BUILTIN_AGENTS)
OFF_POLICY_NAMES = ("SAC", "TD3", "TQC", "CrossQ")


def small_agent(algorithm: str, **sections: JsonValue) -> AgentBase:
    """Return an agent record with small networks and short updates.

    Args:
        algorithm: A built-in algorithm, or ``module:Class``.
        sections: Sections of the record, such as ``network={...}``; ``hyperparameters`` are
            added to the small ones.
    """
    given = sections.pop("hyperparameters", {})
    assert isinstance(given, dict)
    network: dict[str, JsonValue] = {"actor": [8, 8]}
    if algorithm != "ARS":
        network["critic"] = [8, 8]
    if algorithm == "RecurrentPPO":
        network["lstm_size"] = 8
    changes = sections.pop("network", {})
    assert isinstance(changes, dict)
    record = {
        "algorithm": algorithm,
        "hyperparameters": SMALL.get(algorithm, {}) | given,
        "network": network | changes,
        **sections,
    }
    return _ADAPTER.validate_python(record)


def small_experiment(agent: AgentBase) -> ExperimentConfig:
    """Return a whole config around an agent record, on a fake environment."""
    return ExperimentConfig.model_validate(
        {
            "name": "fake",
            "env": {"id": "roboyard.testing.fake_envs:FakeEnv"},
            "train": {"total_steps": 100},
            "agent": agent.model_dump(mode="json"),
        }
    )
