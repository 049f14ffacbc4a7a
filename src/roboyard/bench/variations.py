"""What can be set otherwise in a config, and what that does to a run's result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import NamedTuple

from roboyard.config.agents import settings_record
from roboyard.config.algorithms import OffPolicyHyperparameters, OnPolicyHyperparameters
from roboyard.config.schema import ExperimentConfig

MAX_THREADS = 8
_NUM_ENVS = (1, 2, 4, 8, 16, 32, 64)
_RANGE = 4
"""Environments are varied by up to this factor, up and down."""
N_STEPS = "agent.hyperparameters.n_steps"
TRAIN_FREQ = "agent.hyperparameters.train_freq"
GRADIENT_STEPS = "agent.hyperparameters.gradient_steps"


class Effect(Enum):
    """What a variation does to the result of a run."""

    NONE = "same result, bit for bit"
    ROUNDING = "same result up to rounding"
    BACKEND = "same algorithm in another library"
    ENVIRONMENTS = (
        "another number of environments: each update sees as much data, from more or fewer "
        "environments for a shorter or longer time"
    )
    BLOCKS = "another number of environments: as many updates per step, but in blocks"

    @property
    def short(self) -> str:
        """A word for a table."""
        return {
            Effect.NONE: "same",
            Effect.ROUNDING: "rounding",
            Effect.BACKEND: "library",
            Effect.ENVIRONMENTS: "differs",
            Effect.BLOCKS: "differs, blocks",
        }[self]

    @property
    def keeps_semantics(self) -> bool:
        """Whether the algorithm does the same, up to rounding."""
        return self in (Effect.NONE, Effect.ROUNDING, Effect.BACKEND)


class Variation(NamedTuple):
    """Keys to set, and what that does."""

    changes: Mapping[str, str]
    effect: Effect


def workers(num_envs: int, cores: int, used: int) -> Iterator[Variation]:
    """Yield numbers of worker processes other than the one that was measured."""
    powers = {2**i for i in range(1, cores.bit_length())}
    # One worker beside the learner only pays where stepping and learning overlap.
    counts = {0, *powers, cores} if num_envs > 1 else {0, 1}
    for count in sorted(count for count in counts if count <= min(num_envs, cores)):
        if count != used:
            yield Variation({"env.workers": str(count)}, Effect.NONE)


def threads(cores: int, used: int) -> Iterator[Variation]:
    """Yield numbers of torch threads other than the one that was measured."""
    powers = {2**i for i in range(cores.bit_length())}
    for count in sorted(powers | {cores}):
        if count != used and count <= min(cores, MAX_THREADS):
            yield Variation({"train.threads": str(count)}, Effect.ROUNDING)


def devices(used: str, *, accelerator: bool) -> Iterator[Variation]:
    """Yield the other device, where there is one."""
    if accelerator:
        other = "cpu" if used.startswith("cuda") else "cuda"
        yield Variation({"train.device": other}, Effect.ROUNDING)


def backends(used: str) -> Iterator[Variation]:
    """Yield the other backend."""
    other = "torch" if used == "jax" else "jax"
    yield Variation({"agent.backend": other}, Effect.BACKEND)


def environments(config: ExperimentConfig) -> Iterator[Variation]:
    """Yield other numbers of environments, with what keeps the data of an update the same."""
    settings, own = settings_record(config.agent), config.env.num_envs
    for count in _NUM_ENVS:
        if count == own or not own / _RANGE <= count <= own * _RANGE:
            continue
        envs = {"env.num_envs": str(count)}
        if isinstance(settings, OnPolicyHyperparameters):
            samples = settings.n_steps * own
            if samples % count == 0:
                changes = envs | {N_STEPS: str(samples // count)}
                yield Variation(changes, Effect.ENVIRONMENTS)
        elif isinstance(settings, OffPolicyHyperparameters):
            yield from _off_policy(settings.train_freq, settings.gradient_steps, own, envs, count)


def _off_policy(
    every: int, updates: int, own: int, envs: Mapping[str, str], count: int
) -> Iterator[Variation]:
    samples = every * own
    if samples % count == 0:
        changes = {**envs, TRAIN_FREQ: str(samples // count)}
        yield Variation(changes, Effect.ENVIRONMENTS)
    elif updates < 0:
        yield Variation(envs, Effect.BLOCKS)
    elif updates * count % own == 0:
        # The ratio of updates to steps stays as it is.
        changes = {**envs, GRADIENT_STEPS: str(updates * count // own)}
        yield Variation(changes, Effect.BLOCKS)
