"""Records that describe networks and exploration noise."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue, NonNegativeFloat, PositiveFloat, PositiveInt

from roboyard.config.base import Record
from roboyard.config.uses import CodeName


class ExtractorConfig(Record):
    """How observations become features, before the actor and the critic."""

    type: CodeName = "auto"
    """``auto`` (flatten vectors, CNN for images, both for dictionaries), ``flatten``,
    ``nature_cnn``, ``combined``, or ``module:Class`` of an SB3 features extractor."""
    kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments for its constructor, such as ``features_dim``."""
    shared: bool | None = None
    """One extractor for actor and critic, or one each; by default the algorithm's choice."""


class NetworkConfig(Record):
    """The actor's and the critic's networks."""

    actor: tuple[PositiveInt, ...] | None = None
    """Widths of the actor's hidden layers; by default the algorithm's."""
    critic: tuple[PositiveInt, ...] | None = None
    """Widths of the critic's hidden layers; by default the algorithm's."""
    activation: CodeName = "auto"
    """``tanh``, ``relu``, ``elu``, ``gelu``, ``silu``, ``leaky_relu``, ``mish``, or
    ``module:Class``; ``auto`` is the algorithm's own."""
    layer_norm: bool = False
    """Layer normalisation after each hidden layer."""
    init: Literal["auto", "torch", "orthogonal", "xavier_uniform", "kaiming_uniform"] = "auto"
    """Initialisation of the weights; ``auto`` is the algorithm's own, ``torch`` is what a layer
    has when it is made (SB3's ``ortho_init=False``)."""
    log_std_init: float | None = None
    """Initial logarithm of the action's standard deviation, where the algorithm has one."""
    extractor: ExtractorConfig = ExtractorConfig()
    """Features extractor."""
    lstm_size: PositiveInt | None = None
    """Width of the LSTM (recurrent algorithms only)."""
    num_critics: PositiveInt | None = None
    """Number of critics (off-policy algorithms only)."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay of the optimiser."""


class ActionNoiseConfig(Record):
    """Exploration noise added to the actions of an off-policy algorithm."""

    type: Literal["normal", "ornstein_uhlenbeck"] = "normal"
    """Independent, or correlated in time."""
    sigma: PositiveFloat = 0.1
    """Standard deviation, in units of the normalised action range [-1, 1]."""


class HerConfig(Record):
    """Hindsight experience replay, for environments with goals."""

    goals_per_transition: int = Field(default=4, ge=1, le=100)
    """Relabelled transitions for each real one."""
    strategy: Literal["future", "final", "episode"] = "future"
    """Which achieved goals become desired ones."""
