"""Choosing actions off-policy: the actor's forward pass by its operations, without its modules.

One observation takes an actor some ten operations, 80 us where an update has just been through the
caches. To find them through modules, distributions and their checks takes twice that again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import sb3_contrib.crossq.policies as crossq
import sb3_contrib.tqc.policies as tqc
import stable_baselines3.sac.policies as sac
import stable_baselines3.td3.policies as td3
import torch.nn.functional as F  # noqa: N812  (as everyone calls it)
from stable_baselines3.common.distributions import (
    SquashedDiagGaussianDistribution,
    StateDependentNoiseDistribution,
)
from stable_baselines3.common.policies import BaseModel, BasePolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import Tensor, clamp, nn, relu, tanh

from roboyard.agents.torch.acting import explored
from roboyard.agents.torch.modules import has_hooks, is_as_in

Layer = Callable[[Tensor], Tensor]
Choose = Callable[[Tensor, bool], Tensor]
"""As :class:`Chooser`."""

_POLICIES = (sac.SACPolicy, tqc.TQCPolicy, crossq.CrossQPolicy, td3.TD3Policy)
_STOCHASTIC = (sac.Actor, tqc.Actor, crossq.Actor)
_DISTRIBUTIONS = (SquashedDiagGaussianDistribution, StateDependentNoiseDistribution)


class Chooser:
    """Does to vectors what ``policy._predict`` does, with the same bits."""

    def __init__(self, policy: BasePolicy) -> None:
        """Read the networks of an off-policy algorithm's policy.

        Args:
            policy: Its networks may learn and be loaded from now on, but not be replaced.
        """
        self._policy = policy
        self._choose = _choose(policy)

    def __call__(self, vectors: Tensor, deterministic: bool) -> Tensor:
        """Return squashed actions, shape (batch, actions).

        Args:
            vectors: Observations, shape (batch, size), single precision.
            deterministic: Whether to leave out noise.
        """
        return self._choose(vectors, deterministic)

    def __reduce__(self) -> tuple[type[Chooser], tuple[BasePolicy]]:
        return Chooser, (self._policy,)  # a copy acts with the copied weights


def _choose(policy: BasePolicy) -> Choose:
    actor: Any = policy.actor
    if not _is_plain(policy, actor):
        return lambda vectors, deterministic: policy._predict(vectors, deterministic=deterministic)
    if isinstance(actor, td3.Actor):
        layers = unrolled(actor.mu)
        return lambda vectors, deterministic: layers(vectors)
    return _stochastic(actor)


def _stochastic(actor: Any) -> Choose:  # noqa: ANN401  (three classes without a common one)
    body, mu, noise = unrolled(actor.latent_pi), unrolled(actor.mu), actor.action_dist
    if isinstance(noise, StateDependentNoiseDistribution):

        def explore(vectors: Tensor, deterministic: bool) -> Tensor:
            latent = body(vectors)
            if deterministic:
                return tanh(mu(latent))
            return explored(noise, mu(latent), latent)

        return explore
    log_std = unrolled(actor.log_std)

    def draw(vectors: Tensor, deterministic: bool) -> Tensor:
        latent = body(vectors)
        means = mu(latent)
        spread = clamp(log_std(latent), sac.LOG_STD_MIN, sac.LOG_STD_MAX)
        actions: Tensor = noise.actions_from_params(means, spread, deterministic=deterministic)
        return actions

    return draw


def _is_plain(policy: BasePolicy, actor: Any) -> bool:  # noqa: ANN401  (as above)
    """Return whether an actor is SB3's own and takes vectors as they are, unseen by hooks."""
    chooses = any(is_as_in(own, policy, "_predict") for own in _POLICIES)
    takes_vectors = is_as_in(BaseModel, actor, "extract_features") and (
        type(actor.features_extractor) is FlattenExtractor
    )
    return (
        chooses and takes_vectors and _is_known(actor) and not any(map(has_hooks, actor.modules()))
    )


def _is_known(actor: Any) -> bool:  # noqa: ANN401  (as above)
    if isinstance(actor, td3.Actor):
        return is_as_in(td3.Actor, actor, "forward")
    methods = ("forward", "get_action_dist_params")
    kept = any(is_as_in(own, actor, *methods) for own in _STOCHASTIC)
    return kept and type(actor.action_dist) in _DISTRIBUTIONS


def unrolled(network: nn.Module) -> Layer:
    """Return a function that does what a network does; of common layers it calls the operations."""
    layers = network if isinstance(network, nn.Sequential) else [network]
    operations = [_operation(layer) for layer in layers]

    def run(inputs: Tensor) -> Tensor:
        for operation in operations:
            inputs = operation(inputs)
        return inputs

    return run


def _operation(layer: nn.Module) -> Layer:
    if type(layer) is nn.Sequential:
        return unrolled(layer)
    if type(layer) is nn.Linear:
        return partial(F.linear, weight=layer.weight, bias=layer.bias)
    if type(layer) is nn.Hardtanh:
        return partial(F.hardtanh, min_val=layer.min_val, max_val=layer.max_val)
    return {nn.ReLU: relu, nn.Tanh: tanh}.get(type(layer), layer)
