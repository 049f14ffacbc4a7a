"""Small agent records for tests: every built-in algorithm, trained in a fraction of a second."""

from __future__ import annotations

from pydantic import JsonValue, TypeAdapter

from roboyard.config.agents import BUILTIN_AGENTS, AgentBase, AgentConfig
from roboyard.config.algorithm_specs import ALGORITHMS, SPECS, AlgorithmSpec, find_spec
from roboyard.config.schema import ExperimentConfig

_ADAPTER: TypeAdapter[AgentBase] = TypeAdapter(AgentConfig)
SMALL: dict[str, dict[str, JsonValue]] = {
    "on-policy": {"n_steps": 8, "batch_size": 8, "n_epochs": 1},
    "off-policy": {"learning_starts": 4, "buffer_size": 200, "batch_size": 8},
    "search": {"n_delta": 1},
}
"""Hyperparameters that keep an update small, by kind of algorithm; an algorithm takes its own."""

ALGORITHM_NAMES = tuple(BUILTIN_AGENTS)
OFF_POLICY_NAMES = tuple(spec.name for spec in SPECS if spec.kind == "off-policy")
COMPILED_NAMES = tuple(spec.name for spec in SPECS if spec.jax)
"""Algorithms that the jax backend has."""


def small_settings(spec: AlgorithmSpec | None) -> dict[str, JsonValue]:
    """Return hyperparameters that keep an algorithm's updates small."""
    if spec is None:
        return {}
    known = spec.hyperparameters.model_fields
    return {name: value for name, value in SMALL[spec.kind].items() if name in known}


def small_agent(algorithm: str, **sections: JsonValue) -> AgentBase:
    """Return an agent record with small networks and short updates.

    Args:
        algorithm: A built-in algorithm, or ``module:Class``.
        sections: Sections of the record, such as ``network={...}``; ``hyperparameters`` are
            added to the small ones.
    """
    given = sections.pop("hyperparameters", {})
    assert isinstance(given, dict)
    spec = find_spec(algorithm) if algorithm in ALGORITHMS else None
    network: dict[str, JsonValue] = {"actor": [8, 8]}
    if spec is None or spec.critic is not None:
        network["critic"] = [8, 8]
    if spec is not None and spec.lstm_size is not None:
        network["lstm_size"] = 8
    changes = sections.pop("network", {})
    assert isinstance(changes, dict)
    record = {
        "algorithm": algorithm,
        "backend": "torch",
        "hyperparameters": small_settings(spec) | given,
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
