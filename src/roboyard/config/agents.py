"""Agent records: one per algorithm, told apart by ``algorithm``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import (
    Field,
    JsonValue,
    Tag,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)

from roboyard.config.algorithm_specs import ALGORITHMS, SPECS, AlgorithmSpec, find_spec
from roboyard.config.base import Record, choice
from roboyard.config.networks import ActionNoiseConfig, HerConfig, NetworkConfig
from roboyard.config.uses import CodeName
from roboyard.registry import suggest


class AgentBase(Record):
    """What every agent has."""

    if TYPE_CHECKING:  # each record narrows them
        algorithm: str
        hyperparameters: Record | dict[str, JsonValue]

    backend: Literal["auto", "torch", "jax"] = "auto"
    """What computes the updates: torch, or XLA through JAX (extra ``jax``; PPO, SAC, TD3, TQC and
    CrossQ). ``auto`` is the faster one that is installed and knows the algorithm and its networks;
    a run keeps what was chosen at its start."""
    network: NetworkConfig = NetworkConfig()
    """The actor's and the critic's networks."""

    def hyperparameter(self, name: str, default: object = None) -> object:
        """Return a hyperparameter, or ``default`` where the record does not have it.

        Of an algorithm without a record only those are known here that the config gives.
        """
        settings = self.hyperparameters
        if isinstance(settings, Mapping):
            return settings.get(name, default)
        return getattr(settings, name, default)

    @field_validator("algorithm", mode="before", check_fields=False)
    @classmethod
    def _canonical(cls, name: object) -> object:
        return canonical_name(name)


def canonical_name(name: object) -> object:
    """Return a registered algorithm's name as registered, however its letters were written."""
    if not isinstance(name, str):
        return name
    registered = {known.lower(): known for known in ALGORITHMS.names()}
    return registered.get(name.lower(), name)


class OffPolicyAgentBase(AgentBase):
    """What every off-policy agent has."""

    action_noise: ActionNoiseConfig | None = None
    """Exploration noise added to the actions."""
    her: HerConfig | None = None
    """Hindsight experience replay."""


class CustomAgent(OffPolicyAgentBase):
    """A user's algorithm: a name that was registered, or ``module:Class`` of an SB3 algorithm."""

    algorithm: CodeName = Field(min_length=1)
    """Registered name, or ``module:Class``."""
    hyperparameters: dict[str, JsonValue] = Field(default_factory=dict)
    """Checked against the class's constructor before training starts."""

    @field_validator("algorithm")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ALGORITHMS and ":" not in name:
            allowed = ALGORITHMS.names()
            raise ValueError(
                f"unknown algorithm '{name}'. Allowed: {', '.join(allowed)}, "
                f"or 'module:Class'.{suggest(name, allowed)}"
            )
        return name

    @field_validator("hyperparameters")
    @classmethod
    def _fit_record(cls, given: dict[str, JsonValue], info: ValidationInfo) -> dict[str, JsonValue]:
        """Check the hyperparameters of an algorithm that was registered with a record."""
        name = info.data.get("algorithm", "")
        spec = ALGORITHMS.entry(name)
        if isinstance(spec, AlgorithmSpec):
            try:
                spec.hyperparameters.model_validate(given)
            except ValidationError as error:
                problem = error.errors()[0]
                where = ".".join(map(str, problem["loc"]))
                raise ValueError(f"{where} of {name}: {problem['msg']}") from error
        return given


def settings_record(agent: AgentBase, spec: AlgorithmSpec | None = None) -> Record | None:
    """Return an agent's hyperparameters as the record of its algorithm.

    Args:
        agent: Any agent.
        spec: Of its family; by default what its name or entry says.

    Returns:
        The record. None if the algorithm has none, or takes values that the record does not.
    """
    if isinstance(agent.hyperparameters, Record):
        return agent.hyperparameters
    spec = spec or find_spec(agent.algorithm)
    if spec is None:
        return None
    known = spec.hyperparameters.model_fields
    given = {name: value for name, value in agent.hyperparameters.items() if name in known}
    try:
        return spec.hyperparameters.model_validate(given)
    except ValidationError:
        return None


def agent_record(spec: AlgorithmSpec) -> type[AgentBase]:
    """Return the record of an algorithm's agents, with its own hyperparameters."""
    name: Any = Literal[spec.name]
    base: type[AgentBase] = OffPolicyAgentBase if spec.kind == "off-policy" else AgentBase
    return create_model(
        f"{spec.name}Agent",
        __base__=base,
        __doc__=spec.summary,
        __module__=__name__,
        algorithm=(name, Field(description="Name of the algorithm.")),
        hyperparameters=(
            spec.hyperparameters,
            Field(default=spec.hyperparameters(), description="Its hyperparameters."),
        ),
    )


BUILTIN_AGENTS: dict[str, type[AgentBase]] = {spec.name: agent_record(spec) for spec in SPECS}
"""The record of each algorithm's agents, by its name."""


def __getattr__(name: str) -> type[AgentBase]:
    """Return an agent's record by its class name, by which pickles find it."""
    for record in BUILTIN_AGENTS.values():
        if record.__name__ == name:
            return record
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def _tag(value: object) -> str | None:
    if isinstance(value, dict):
        name = canonical_name(value.get("algorithm"))
    elif isinstance(value, AgentBase):
        name = value.algorithm
    else:
        return None
    return f"<{name}>" if isinstance(name, str) and name in BUILTIN_AGENTS else "<custom>"


def _any_agent() -> object:
    records = {f"<{name}>": record for name, record in BUILTIN_AGENTS.items()}
    records["<custom>"] = CustomAgent
    tagged = [Annotated[record, Tag(tag)] for tag, record in records.items()]
    chosen = choice(
        "algorithm",
        _tag,
        tuple(BUILTIN_AGENTS),
        key="algorithm",
        expected="a mapping such as {algorithm: PPO}",
    )
    return Annotated[Union[tuple(tagged)], chosen]  # noqa: UP007  (made of a list)


if TYPE_CHECKING:
    AgentConfig = AgentBase
else:
    AgentConfig = _any_agent()
    """Any agent record."""
