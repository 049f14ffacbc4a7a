"""Action distributions without torch's checks of their parameters.

The checks read values, which takes time at each minibatch and cannot be part of a CUDA graph. What
is not finite is found in the next rollout.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from stable_baselines3.common.distributions import (
    BernoulliDistribution,
    CategoricalDistribution,
    DiagGaussianDistribution,
    Distribution,
    MultiCategoricalDistribution,
    StateDependentNoiseDistribution,
)
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Normal

D = TypeVar("D", bound=Distribution)


def action_distribution(policy: ActorCriticPolicy, outputs: Tensor, latent: Tensor) -> Distribution:
    """Return the distribution of a policy's actions, with SB3's bits.

    Args:
        policy: One that draws actions as SB3's do.
        outputs: Of its ``action_net``: means, or logits.
        latent: The actor's last hidden layer.
    """
    found: Any = policy.action_dist
    if isinstance(found, StateDependentNoiseDistribution):
        return state_dependent(found, outputs, policy.log_std, latent)
    if isinstance(found, DiagGaussianDistribution):
        return gaussian(found, outputs, torch.ones_like(outputs) * policy.log_std.exp())
    found = copy.copy(found)
    if isinstance(found, CategoricalDistribution):
        found.distribution = Categorical(logits=outputs, validate_args=False)
    elif isinstance(found, MultiCategoricalDistribution):
        parts = torch.split(outputs, list(found.action_dims), dim=1)
        found.distribution = [Categorical(logits=part, validate_args=False) for part in parts]
    else:
        assert isinstance(found, BernoulliDistribution)
        found.distribution = Bernoulli(logits=outputs, validate_args=False)
    distribution: Distribution = found
    return distribution


def gaussian(kind: D, means: Tensor, std: Tensor) -> D:
    """Return independent normals, squashed or not, as ``kind`` is."""
    found: Any = copy.copy(kind)
    found.distribution = Normal(means, std, validate_args=False)
    return found  # type: ignore[no-any-return]


def state_dependent(
    kind: StateDependentNoiseDistribution, means: Tensor, log_std: Tensor, latent: Tensor
) -> StateDependentNoiseDistribution:
    """Return gSDE's distribution at some states (Raffin et al. 2021, eq. 9)."""
    found: Any = copy.copy(kind)
    found._latent_sde = latent if kind.learn_features else latent.detach()
    variance = torch.mm(found._latent_sde**2, kind.get_std(log_std) ** 2)
    std = torch.sqrt(variance + kind.epsilon)
    found.distribution = Normal(means, std, validate_args=False)
    return found  # type: ignore[no-any-return]
