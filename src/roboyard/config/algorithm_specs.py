"""One record an algorithm: its settings, its classes, and what it can do.

Everything that differs between algorithms stands here; what reads it has no list of its own.
Classes are ``"module:Class"`` strings, so that no learning library is imported for a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from roboyard.config import algorithms as hp
from roboyard.config.base import Record
from roboyard.registry import Registry

ANY_ACTION = ("Box", "Discrete", "MultiDiscrete", "MultiBinary")

Kind = Literal["on-policy", "off-policy", "search"]


@dataclass(frozen=True)
class AlgorithmSpec:
    """What Roboyard knows about an algorithm; register one in ``ALGORITHMS`` to add it."""

    name: str
    """As in ``agent.algorithm``."""
    summary: str
    """One line about it."""
    kind: Kind
    """Learns from its newest rollout, from a replay buffer, or from returns of whole episodes."""
    hyperparameters: type[Record]
    """Its settings, named as in the constructor of ``torch``."""
    base: str
    """The library's class; what derives from it is of this family."""
    torch: str
    """The class that learns on torch."""
    jax: str | None = None
    """The class whose updates XLA compiles, if there is one; derives from ``base``."""
    action_spaces: tuple[str, ...] = ("Box",)
    """Action spaces that it accepts, by class name."""
    reads_dicts: bool = True
    """Whether observations may be dictionaries."""
    actor: tuple[int, ...] = (64, 64)
    """Default widths of the actor's hidden layers."""
    critic: tuple[int, ...] | None = (64, 64)
    """Default widths of the critic's hidden layers; None without a critic."""
    lstm_size: int | None = None
    """Default width of its LSTM; None without one."""
    batch_normalised: bool = False
    """Whether hidden layers are normalised already."""
    num_critics: bool = False
    """Whether the number of critics can be chosen."""
    log_std: Literal["always", "with gSDE", "never"] = "always"
    """When the policy has a standard deviation of its own."""
    adam: Mapping[str, JsonValue] | None = field(default_factory=dict)
    """What its policy gives Adam by default; None if it steps with something else."""
    adamw: Mapping[str, JsonValue] = field(default_factory=dict)
    """What it gives AdamW, which replaces Adam when weights decay."""
    rms_prop: bool = False
    """Whether it steps with RMSprop unless ``use_rms_prop`` is false."""
    in_graphs: bool = False
    """Whether torch launches a whole gradient step as one on an accelerator."""
    starter: Mapping[str, JsonValue] = field(default_factory=dict)
    """Hyperparameters that ``roboyard init`` sets, for a run of minutes."""

    @property
    def default_widths(self) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """Widths of the hidden layers of actor and critic, and of the LSTM; 0 without one."""
        return self.actor, self.critic or (), self.lstm_size or 0


_ADAM = {"eps": 1e-5}
_OFF_POLICY: dict[str, JsonValue] = {"learning_starts": 1000, "buffer_size": 100_000}
_TORCH = "roboyard.agents.torch"

SPECS = (
    AlgorithmSpec(
        name="PPO",
        summary="Proximal policy optimisation.",
        kind="on-policy",
        hyperparameters=hp.PPOHyperparameters,
        base="stable_baselines3:PPO",
        torch=f"{_TORCH}.ppo:PPO",
        jax="roboyard.agents.jax.ppo:JaxPPO",
        action_spaces=ANY_ACTION,
        adam=_ADAM,
        adamw=_ADAM,
        in_graphs=True,
        starter={"learning_rate": 1e-3, "n_steps": 128, "batch_size": 256, "gamma": 0.98},
    ),
    AlgorithmSpec(
        name="A2C",
        summary="Advantage actor-critic.",
        kind="on-policy",
        hyperparameters=hp.A2CHyperparameters,
        base="stable_baselines3:A2C",
        torch=f"{_TORCH}.a2c:A2C",
        action_spaces=ANY_ACTION,
        adam=None,
        adamw=_ADAM,
        rms_prop=True,
        starter={"n_steps": 8},
    ),
    AlgorithmSpec(
        name="SAC",
        summary="Soft actor-critic.",
        kind="off-policy",
        hyperparameters=hp.SACHyperparameters,
        base="stable_baselines3:SAC",
        torch=f"{_TORCH}.sac:SAC",
        jax="roboyard.agents.jax.soft:JaxSAC",
        actor=(256, 256),
        critic=(256, 256),
        num_critics=True,
        log_std="with gSDE",
        in_graphs=True,
        starter=_OFF_POLICY,
    ),
    AlgorithmSpec(
        name="TD3",
        summary="Twin delayed deterministic policy gradient.",
        kind="off-policy",
        hyperparameters=hp.TD3Hyperparameters,
        base="stable_baselines3:TD3",
        torch=f"{_TORCH}.td3:TD3",
        jax="roboyard.agents.jax.td3:JaxTD3",
        actor=(400, 300),
        critic=(400, 300),
        num_critics=True,
        log_std="never",
        in_graphs=True,
        starter=_OFF_POLICY,
    ),
    AlgorithmSpec(
        name="TQC",
        summary="Truncated quantile critics.",
        kind="off-policy",
        hyperparameters=hp.TQCHyperparameters,
        base="sb3_contrib:TQC",
        torch=f"{_TORCH}.tqc:TQC",
        jax="roboyard.agents.jax.soft:JaxTQC",
        actor=(256, 256),
        critic=(256, 256),
        num_critics=True,
        log_std="with gSDE",
        starter=_OFF_POLICY,
    ),
    AlgorithmSpec(
        name="CrossQ",
        summary="CrossQ.",
        kind="off-policy",
        hyperparameters=hp.CrossQHyperparameters,
        base="sb3_contrib:CrossQ",
        torch="sb3_contrib:CrossQ",
        jax="roboyard.agents.jax.crossq:JaxCrossQ",
        reads_dicts=False,
        actor=(256, 256),
        critic=(1024, 1024),
        batch_normalised=True,
        num_critics=True,
        log_std="with gSDE",
        adam=None,
        adamw={"betas": [0.5, 0.999]},
        starter=_OFF_POLICY,
    ),
    AlgorithmSpec(
        name="TRPO",
        summary="Trust region policy optimisation.",
        kind="on-policy",
        hyperparameters=hp.TRPOHyperparameters,
        base="sb3_contrib:TRPO",
        torch=f"{_TORCH}.trpo:TRPO",
        action_spaces=ANY_ACTION,
        adam=_ADAM,
        adamw=_ADAM,
        starter={"n_steps": 256, "batch_size": 256},
    ),
    AlgorithmSpec(
        name="RecurrentPPO",
        summary="PPO with an LSTM policy.",
        kind="on-policy",
        hyperparameters=hp.RecurrentPPOHyperparameters,
        base="sb3_contrib:RecurrentPPO",
        torch="sb3_contrib:RecurrentPPO",
        # sb3-contrib's recurrent buffer hands whole numbers to a loss that takes floats.
        action_spaces=("Box", "Discrete", "MultiDiscrete"),
        lstm_size=256,
        adam=_ADAM,
        adamw=_ADAM,
        starter={"learning_rate": 1e-3, "n_steps": 128, "batch_size": 256},
    ),
    AlgorithmSpec(
        name="ARS",
        summary="Augmented random search.",
        kind="search",
        hyperparameters=hp.ARSHyperparameters,
        base="sb3_contrib:ARS",
        torch="sb3_contrib:ARS",
        action_spaces=("Box", "Discrete"),
        reads_dicts=False,
        critic=None,
        log_std="never",
        adam=None,
    ),
)
"""The algorithms that Roboyard comes with."""

ALGORITHMS: Registry[object] = Registry("algorithm", {spec.name: spec for spec in SPECS})
"""Names for ``agent.algorithm``: records, or classes and ``"module:Class"`` without one."""


def find_spec(algorithm: str) -> AlgorithmSpec | None:
    """Return the record of a registered name, or of an entry that names one of its classes.

    Nothing is imported: what derives from a known class is found by ``agents`` when it is built.
    """
    if algorithm in ALGORITHMS:
        found = ALGORITHMS.entry(algorithm)
        return found if isinstance(found, AlgorithmSpec) else None
    return next((spec for spec in specs() if algorithm in (spec.base, spec.torch)), None)


def specs() -> tuple[AlgorithmSpec, ...]:
    """Return the record of every algorithm that has one."""
    known = [spec.name for spec in SPECS]
    added = [name for name in ALGORITHMS.names() if name not in known]
    entries = map(ALGORITHMS.entry, [*known, *added])
    return tuple(entry for entry in entries if isinstance(entry, AlgorithmSpec))
