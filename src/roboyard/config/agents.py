"""Agent records: one per algorithm, told apart by ``algorithm``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, Tag, field_validator

from roboyard.config import algorithms as hp
from roboyard.config.base import Record, choice
from roboyard.config.networks import ActionNoiseConfig, HerConfig, NetworkConfig
from roboyard.config.uses import CodeName
from roboyard.registry import suggest


class AgentBase(Record):
    """What every agent has."""

    backend: Literal["torch", "jax"] = "torch"
    """What computes the updates: torch, or XLA through JAX (extra ``jax``; PPO, SAC, TD3, TQC and
    CrossQ), which is faster."""
    network: NetworkConfig = NetworkConfig()
    """The actor's and the critic's networks."""

    @field_validator("algorithm", mode="before", check_fields=False)
    @classmethod
    def _canonical(cls, name: object) -> object:
        return canonical_name(name)


def canonical_name(name: object) -> object:
    """Return a registered algorithm's name as registered, however its letters were written."""
    if not isinstance(name, str):
        return name
    registered = {known.lower(): known for known in hp.ALGORITHMS.names()}
    return registered.get(name.lower(), name)


class PPOAgent(AgentBase):
    """Proximal policy optimisation."""

    algorithm: Literal["PPO"]
    """Name of the algorithm."""
    hyperparameters: hp.PPOHyperparameters = hp.PPOHyperparameters()
    """Its hyperparameters."""


class RecurrentPPOAgent(AgentBase):
    """PPO with an LSTM policy."""

    algorithm: Literal["RecurrentPPO"]
    """Name of the algorithm."""
    hyperparameters: hp.RecurrentPPOHyperparameters = hp.RecurrentPPOHyperparameters()
    """Its hyperparameters."""


class A2CAgent(AgentBase):
    """Advantage actor-critic."""

    algorithm: Literal["A2C"]
    """Name of the algorithm."""
    hyperparameters: hp.A2CHyperparameters = hp.A2CHyperparameters()
    """Its hyperparameters."""


class TRPOAgent(AgentBase):
    """Trust region policy optimisation."""

    algorithm: Literal["TRPO"]
    """Name of the algorithm."""
    hyperparameters: hp.TRPOHyperparameters = hp.TRPOHyperparameters()
    """Its hyperparameters."""


class ARSAgent(AgentBase):
    """Augmented random search."""

    algorithm: Literal["ARS"]
    """Name of the algorithm."""
    hyperparameters: hp.ARSHyperparameters = hp.ARSHyperparameters()
    """Its hyperparameters."""


class OffPolicyAgentBase(AgentBase):
    """What every off-policy agent has."""

    action_noise: ActionNoiseConfig | None = None
    """Exploration noise added to the actions."""
    her: HerConfig | None = None
    """Hindsight experience replay."""


class SACAgent(OffPolicyAgentBase):
    """Soft actor-critic."""

    algorithm: Literal["SAC"]
    """Name of the algorithm."""
    hyperparameters: hp.SACHyperparameters = hp.SACHyperparameters()
    """Its hyperparameters."""


class TD3Agent(OffPolicyAgentBase):
    """Twin delayed deterministic policy gradient."""

    algorithm: Literal["TD3"]
    """Name of the algorithm."""
    hyperparameters: hp.TD3Hyperparameters = hp.TD3Hyperparameters()
    """Its hyperparameters."""


class TQCAgent(OffPolicyAgentBase):
    """Truncated quantile critics."""

    algorithm: Literal["TQC"]
    """Name of the algorithm."""
    hyperparameters: hp.TQCHyperparameters = hp.TQCHyperparameters()
    """Its hyperparameters."""


class CrossQAgent(OffPolicyAgentBase):
    """CrossQ."""

    algorithm: Literal["CrossQ"]
    """Name of the algorithm."""
    hyperparameters: hp.CrossQHyperparameters = hp.CrossQHyperparameters()
    """Its hyperparameters."""


class CustomAgent(OffPolicyAgentBase):
    """A user's algorithm: a registered name or ``module:Class`` of an SB3 algorithm."""

    algorithm: CodeName = Field(min_length=1)
    """Registered name, or ``module:Class``."""
    hyperparameters: dict[str, JsonValue] = Field(default_factory=dict)
    """Checked against the class's constructor before training starts."""

    @field_validator("algorithm")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in hp.ALGORITHMS and ":" not in name:
            allowed = hp.ALGORITHMS.names()
            raise ValueError(
                f"unknown algorithm '{name}'. Allowed: {', '.join(allowed)}, "
                f"or 'module:Class'.{suggest(name, allowed)}"
            )
        return name


BUILTIN_AGENTS: dict[str, type[AgentBase]] = {
    "PPO": PPOAgent,
    "RecurrentPPO": RecurrentPPOAgent,
    "A2C": A2CAgent,
    "TRPO": TRPOAgent,
    "ARS": ARSAgent,
    "SAC": SACAgent,
    "TD3": TD3Agent,
    "TQC": TQCAgent,
    "CrossQ": CrossQAgent,
}


def _tag(value: object) -> str | None:
    if isinstance(value, dict):
        name = canonical_name(value.get("algorithm"))
    elif isinstance(value, AgentBase):
        name = getattr(value, "algorithm", None)
    else:
        return None
    return f"<{name}>" if isinstance(name, str) and name in BUILTIN_AGENTS else "<custom>"


AgentConfig = Annotated[
    Annotated[PPOAgent, Tag("<PPO>")]
    | Annotated[RecurrentPPOAgent, Tag("<RecurrentPPO>")]
    | Annotated[A2CAgent, Tag("<A2C>")]
    | Annotated[TRPOAgent, Tag("<TRPO>")]
    | Annotated[ARSAgent, Tag("<ARS>")]
    | Annotated[SACAgent, Tag("<SAC>")]
    | Annotated[TD3Agent, Tag("<TD3>")]
    | Annotated[TQCAgent, Tag("<TQC>")]
    | Annotated[CrossQAgent, Tag("<CrossQ>")]
    | Annotated[CustomAgent, Tag("<custom>")],
    choice(
        "algorithm",
        _tag,
        tuple(BUILTIN_AGENTS),
        key="algorithm",
        expected="a mapping such as {algorithm: PPO}",
    ),
]
"""Any agent record."""
