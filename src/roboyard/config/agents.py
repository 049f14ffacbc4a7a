"""Agent records: one per algorithm, told apart by ``algorithm``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, JsonValue, Tag, field_validator

from roboyard.config import algorithms as hp
from roboyard.config.base import Record
from roboyard.config.networks import ActionNoiseConfig, HerConfig, NetworkConfig
from roboyard.registry import suggest


class AgentBase(Record):
    """What every agent has."""

    backend: Literal["torch"] = "torch"
    """Library that runs the networks."""
    network: NetworkConfig = NetworkConfig()
    """The actor's and the critic's networks."""


class PPOAgent(AgentBase):
    """Proximal policy optimisation."""

    algorithm: Literal["PPO"]
    hyperparameters: hp.PPOHyperparameters = hp.PPOHyperparameters()


class RecurrentPPOAgent(AgentBase):
    """PPO with an LSTM policy."""

    algorithm: Literal["RecurrentPPO"]
    hyperparameters: hp.RecurrentPPOHyperparameters = hp.RecurrentPPOHyperparameters()


class A2CAgent(AgentBase):
    """Advantage actor-critic."""

    algorithm: Literal["A2C"]
    hyperparameters: hp.A2CHyperparameters = hp.A2CHyperparameters()


class TRPOAgent(AgentBase):
    """Trust region policy optimisation."""

    algorithm: Literal["TRPO"]
    hyperparameters: hp.TRPOHyperparameters = hp.TRPOHyperparameters()


class ARSAgent(AgentBase):
    """Augmented random search."""

    algorithm: Literal["ARS"]
    hyperparameters: hp.ARSHyperparameters = hp.ARSHyperparameters()


class OffPolicyAgentBase(AgentBase):
    """What every off-policy agent has."""

    action_noise: ActionNoiseConfig | None = None
    """Exploration noise added to the actions."""
    her: HerConfig | None = None
    """Hindsight experience replay."""


class SACAgent(OffPolicyAgentBase):
    """Soft actor-critic."""

    algorithm: Literal["SAC"]
    hyperparameters: hp.SACHyperparameters = hp.SACHyperparameters()


class TD3Agent(OffPolicyAgentBase):
    """Twin delayed deterministic policy gradient."""

    algorithm: Literal["TD3"]
    hyperparameters: hp.TD3Hyperparameters = hp.TD3Hyperparameters()


class TQCAgent(OffPolicyAgentBase):
    """Truncated quantile critics."""

    algorithm: Literal["TQC"]
    hyperparameters: hp.TQCHyperparameters = hp.TQCHyperparameters()


class CrossQAgent(OffPolicyAgentBase):
    """CrossQ."""

    algorithm: Literal["CrossQ"]
    hyperparameters: hp.CrossQHyperparameters = hp.CrossQHyperparameters()


class CustomAgent(OffPolicyAgentBase):
    """A user's algorithm: a registered name or ``module:Class`` of an SB3 algorithm."""

    algorithm: str = Field(min_length=1)
    hyperparameters: dict[str, JsonValue] = {}
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


def _tag(value: Any) -> str:
    name = value.get("algorithm") if isinstance(value, dict) else value.algorithm
    return name if name in BUILTIN_AGENTS else "custom"


AgentConfig = Annotated[
    Annotated[PPOAgent, Tag("PPO")]
    | Annotated[RecurrentPPOAgent, Tag("RecurrentPPO")]
    | Annotated[A2CAgent, Tag("A2C")]
    | Annotated[TRPOAgent, Tag("TRPO")]
    | Annotated[ARSAgent, Tag("ARS")]
    | Annotated[SACAgent, Tag("SAC")]
    | Annotated[TD3Agent, Tag("TD3")]
    | Annotated[TQCAgent, Tag("TQC")]
    | Annotated[CrossQAgent, Tag("CrossQ")]
    | Annotated[CustomAgent, Tag("custom")],
    Discriminator(_tag),
]
"""Any agent record."""
