"""The runs that have to survive everything: each algorithm on each kind of environment."""

from __future__ import annotations

from pydantic import JsonValue

from roboyard.config.load import load
from roboyard.config.schema import ExperimentConfig
from roboyard.testing.agent_configs import small_agent

ALGORITHMS = ("PPO", "A2C", "SAC", "TD3", "TQC", "CrossQ", "RecurrentPPO", "HER")
"""HER is SAC with hindsight, which needs an environment with goals."""
ENVIRONMENTS = ("SimpleRobot", "ant-run", "a1-velocity-random", "panda-reach")
GOALS = ("panda-reach",)
"""Environments with goals."""

_IMPOSSIBLE = (("HER", False), ("CrossQ", True))  # it reads no dictionaries
_OFF_POLICY = ("SAC", "TD3", "TQC", "CrossQ", "HER")


def list_cases() -> list[str]:
    """Return the names of all cases, such as ``PPO on ant-run``."""
    return [
        f"{algorithm} on {environment}"
        for environment in ENVIRONMENTS
        for algorithm in ALGORITHMS
        if (algorithm, environment in GOALS) not in _IMPOSSIBLE
    ]


def make_case(name: str, total_steps: int | None = None) -> ExperimentConfig:
    """Return the config of a case: small networks, short rollouts, evaluations in between.

    Args:
        name: One of :func:`list_cases`.
        total_steps: How long; by default some seconds of training.

    Raises:
        ConfigError: The environment is not there.
    """
    algorithm, _, environment = name.partition(" on ")
    hindsight = algorithm == "HER"
    hyperparameters: dict[str, JsonValue] = {}
    if algorithm in _OFF_POLICY:
        hyperparameters = {"buffer_size": 1000, "learning_starts": 150}
    sections: dict[str, JsonValue] = {"her": {"goals_per_transition": 4}} if hindsight else {}
    agent = small_agent(
        "SAC" if hindsight else algorithm, hyperparameters=hyperparameters, **sections
    )
    steps = total_steps or (1000 if algorithm in _OFF_POLICY else 3000)
    return load(
        {
            "name": name.replace(" ", "-"),
            "env": {
                "id": environment,
                "num_envs": 2,
                "workers": 2 if algorithm == "PPO" else 0,
                "max_episode_steps": 60,
                "normalize": {"observations": environment not in GOALS},
            },
            "agent": agent.model_dump(mode="json"),
            "train": {"total_steps": steps, "threads": 1},
            "evaluation": {
                "every_steps": steps // 5,
                "episodes": 2,
                "final_episodes": 2,
                "num_envs": 2,
            },
            "video": {"final": False},
        }
    )
