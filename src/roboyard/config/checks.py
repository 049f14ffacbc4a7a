"""Settings that are right each on its own and wrong together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from roboyard.config.agents import AgentBase, CustomAgent, settings_record
from roboyard.config.algorithm_specs import ALGORITHMS, AlgorithmSpec, find_spec, specs
from roboyard.config.algorithms import (
    A2CHyperparameters,
    OffPolicyHyperparameters,
    PPOHyperparameters,
    TRPOHyperparameters,
)
from roboyard.config.base import Record

if TYPE_CHECKING:
    from roboyard.config.schema import ExperimentConfig

_HYPERPARAMETERS = "agent.hyperparameters"
_PARALLEL = "train.data_parallel"
_SHARED = ("PPO", "A2C", "SAC", "TD3")
"""Algorithms whose updates several processes can share."""


class Conflict(NamedTuple):
    """Settings that do not go together."""

    path: str
    """Dotted path of the setting to change."""
    text: str
    """What is wrong, and what to do."""


def conflicts(config: ExperimentConfig, family: AlgorithmSpec | None = None) -> list[Conflict]:
    """Return every conflict in a config whose settings are right each on its own.

    Args:
        config: The whole config.
        family: The algorithm that the agent's derives from; by default what its name says, which
            is all that can be known without importing a user's class.
    """
    family = family or find_spec(config.agent.algorithm)
    settings = settings_record(config.agent, family)
    found = [*_backend(config.agent), *_evaluation(config), *_data_parallel(config, settings)]
    for check in (_minibatches, _replay, _exploration, _hindsight):
        found += check(config, settings)
    if family is not None:
        found += [*_networks(config.agent, family), *_search(config, family)]
    return found


def _backend(agent: AgentBase) -> Iterator[Conflict]:
    if agent.backend != "jax":
        return
    entry = ALGORITHMS.entry(agent.algorithm)
    if not (isinstance(entry, AlgorithmSpec) and entry.jax):
        text = (
            f"jax does not have {agent.algorithm}. It has: {_names(spec.jax for spec in specs())}. "
            "Use one of these, or torch."
        )
        yield Conflict("agent.backend", text)
    for path, value in (
        ("agent.network.activation", agent.network.activation),
        ("agent.network.extractor.type", agent.network.extractor.type),
    ):
        if ":" in value:
            text = f"agent.backend jax cannot compile '{value}'. Use a built-in name, or torch."
            yield Conflict(path, text)


def _data_parallel(config: ExperimentConfig, settings: Record | None) -> Iterator[Conflict]:
    workers, agent = config.train.data_parallel.workers, config.agent
    if workers == 1:
        return
    num_envs, batch_size = config.env.num_envs, getattr(settings, "batch_size", workers)
    if agent.algorithm not in _SHARED:
        text = f"{agent.algorithm} trains in one process. Use 1, or one of {', '.join(_SHARED)}."
        yield Conflict(f"{_PARALLEL}.workers", text)
    if agent.backend == "jax":
        text = f"jax trains in one process ({_PARALLEL}.workers is {workers}). Use torch or auto."
        yield Conflict("agent.backend", text)
    if num_envs % workers:
        text = (
            f"{workers} workers cannot have equal shares of env.num_envs ({num_envs}). Use a "
            f"divisor of {num_envs}, or another env.num_envs."
        )
        yield Conflict(f"{_PARALLEL}.workers", text)
    if batch_size < workers:
        text = f"must be at least the {workers} workers that share a minibatch: {batch_size}."
        yield Conflict(f"{_HYPERPARAMETERS}.batch_size", text)
    if getattr(agent, "her", None) is not None:
        yield Conflict("agent.her", f"works in one process only. Use {_PARALLEL}.workers=1.")
    if config.train.device == "cuda":
        text = f"with {_PARALLEL}.workers above 1, networks live on the CPU. Use cpu or auto."
        yield Conflict("train.device", text)


def _minibatches(config: ExperimentConfig, settings: Record | None) -> Iterator[Conflict]:
    num_envs = config.env.num_envs
    if isinstance(settings, PPOHyperparameters | TRPOHyperparameters | A2CHyperparameters):
        rollout = settings.n_steps * num_envs
        product = f"n_steps * env.num_envs = {settings.n_steps} * {num_envs} = {rollout}"
        if rollout == 1 and settings.normalize_advantage:
            text = f"must be larger: {product}, and one sample's advantage cannot be normalised."
            yield Conflict(f"{_HYPERPARAMETERS}.n_steps", text)
        elif not isinstance(settings, A2CHyperparameters) and rollout % settings.batch_size:
            text = (
                f"{settings.batch_size} does not divide the rollout ({product}), which would "
                f"leave a truncated minibatch. Nearest that does: "
                f"{_nearest_divisor(rollout, settings.batch_size)}."
            )
            yield Conflict(f"{_HYPERPARAMETERS}.batch_size", text)
    normalized = isinstance(settings, PPOHyperparameters) and settings.normalize_advantage
    if normalized and getattr(settings, "batch_size", None) == 1:
        text = "must be at least 2, or normalize_advantage false: one sample has no spread."
        yield Conflict(f"{_HYPERPARAMETERS}.batch_size", text)


def _nearest_divisor(number: int, near: int) -> int:
    """Return the divisor of ``number`` nearest to ``near``, in a ratio sense."""
    small = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    divisors = small + [number // d for d in small]
    return min(divisors, key=lambda d: max(d / near, near / d))


def _replay(config: ExperimentConfig, settings: Record | None) -> Iterator[Conflict]:
    if not isinstance(settings, OffPolicyHyperparameters):
        return
    if settings.learning_starts >= config.train.total_steps:
        text = (
            f"{settings.learning_starts} must be less than train.total_steps "
            f"({config.train.total_steps}); otherwise nothing is learnt."
        )
        yield Conflict(f"{_HYPERPARAMETERS}.learning_starts", text)
    if settings.buffer_size < config.env.num_envs:
        text = f"{settings.buffer_size} must be at least env.num_envs ({config.env.num_envs})."
        yield Conflict(f"{_HYPERPARAMETERS}.buffer_size", text)
    if settings.optimize_memory_usage and settings.n_steps > 1:
        text = "does not work with n_steps > 1. Set one of them to its default."
        yield Conflict(f"{_HYPERPARAMETERS}.optimize_memory_usage", text)


def _exploration(config: ExperimentConfig, settings: Record | None) -> Iterator[Conflict]:
    use_sde = getattr(settings, "use_sde", False)
    if use_sde and getattr(config.agent, "action_noise", None) is not None:
        text = "does not go with use_sde: both add exploration noise. Remove one of them."
        yield Conflict("agent.action_noise", text)
    if getattr(settings, "use_sde_at_warmup", False) and not use_sde:
        yield Conflict(f"{_HYPERPARAMETERS}.use_sde_at_warmup", "needs use_sde: true.")


def _hindsight(config: ExperimentConfig, settings: Record | None) -> Iterator[Conflict]:
    if getattr(config.agent, "her", None) is None:
        return
    if not isinstance(settings, OffPolicyHyperparameters):
        return
    if settings.optimize_memory_usage:
        text = "does not work with agent.her. Set it to false."
        yield Conflict(f"{_HYPERPARAMETERS}.optimize_memory_usage", text)
    if settings.n_steps > 1:
        text = "n-step returns do not work with agent.her. Set it to 1."
        yield Conflict(f"{_HYPERPARAMETERS}.n_steps", text)


def _networks(agent: AgentBase, family: AlgorithmSpec) -> Iterator[Conflict]:
    network, name = agent.network, agent.algorithm
    if isinstance(agent, CustomAgent):
        return  # What its policy takes is known when it is built.
    if network.lstm_size is not None and family.lstm_size is None:
        text = f"{name} has no LSTM. Use RecurrentPPO, or remove the key."
        yield Conflict("agent.network.lstm_size", text)
    if network.num_critics is not None and not family.num_critics:
        allowed = _names(spec.num_critics for spec in specs())
        text = f"{name} has a fixed number of critics. Allowed with: {allowed}."
        yield Conflict("agent.network.num_critics", text)
    if network.log_std_init is not None and family.log_std == "never":
        text = f"{name}'s policy is deterministic and has no standard deviation. Remove the key."
        yield Conflict("agent.network.log_std_init", text)


def _search(config: ExperimentConfig, family: AlgorithmSpec) -> Iterator[Conflict]:
    name = config.agent.algorithm
    if family.kind == "search" and config.env.normalize.rewards:
        text = f"{name} compares the returns of whole episodes, so rewards must stay as they are."
        yield Conflict("env.normalize.rewards", f"must be false: {text}")
    if family.critic is None and config.agent.network.critic is not None:
        yield Conflict("agent.network.critic", f"{name} has no critic. Remove the key.")


def _names(wanted: Iterable[object]) -> str:
    """Return the names of the algorithms for which a condition holds."""
    return ", ".join(spec.name for spec, holds in zip(specs(), wanted, strict=True) if holds)


def _evaluation(config: ExperimentConfig) -> Iterator[Conflict]:
    if config.evaluation.during_training:
        return
    for key in ("return_threshold", "patience"):
        if getattr(config.early_stop, key) is not None:
            yield Conflict(f"early_stop.{key}", "needs evaluation.during_training: true.")
