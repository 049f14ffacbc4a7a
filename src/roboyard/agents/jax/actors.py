"""Actors and critics of the off-policy algorithms as functions of their tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from stable_baselines3.common import distributions as sb3
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.sac.policies import Actor
from stable_baselines3.td3.policies import Actor as DeterministicActor
from torch import nn

from roboyard.agents.jax.distributions import noise_std, normal_log_prob
from roboyard.agents.jax.networks import Network, Statistics, Tensors, lower
from roboyard.agents.jax.observations import Observations, preprocess
from roboyard.agents.jax.products import linear

LOG_STD_RANGE = (-20.0, 2.0)
"""As in ``stable_baselines3.sac.policies``."""
EPSILON = 1e-6
"""Keeps the squash correction finite, as in ``SquashedDiagGaussianDistribution``."""

Critic = Callable[[Tensors, Any, jax.Array, Statistics | None], jax.Array]
"""From tensors, observations and actions to values, shape (critics, batch, outputs)."""


class SquashedActor(NamedTuple):
    """A stochastic actor whose actions are squashed by tanh."""

    noise_shape: Callable[[int], tuple[int, ...]]
    """Shape of the standard normal noise that a batch needs, by its size."""
    act: Callable[[Tensors, Any, jax.Array, Statistics | None], tuple[jax.Array, jax.Array]]
    """From tensors, observations and noise to actions, shape (batch, actions), and their
    log-probabilities, shape (batch,)."""


def lower_deterministic(actor: DeterministicActor, names: Mapping[int, str]) -> Network:
    """Return TD3's actor as a function of observations."""
    extract, mu = lower(actor.features_extractor, names), lower(actor.mu, names)

    def act(
        tensors: Tensors, observations: Observations, statistics: Statistics | None
    ) -> jax.Array:
        inputs = preprocess(observations, actor.observation_space)
        return mu(tensors, extract(tensors, inputs, statistics), statistics)

    return act


def lower_squashed(actor: Actor, names: Mapping[int, str]) -> SquashedActor:
    """Return SAC's, TQC's or CrossQ's actor as a function of observations and noise."""
    extract = lower(actor.features_extractor, names)
    body, mu = lower(actor.latent_pi, names), lower(actor.mu, names)

    def latent_of(
        tensors: Tensors, observations: Observations, statistics: Statistics | None
    ) -> jax.Array:
        inputs = preprocess(observations, actor.observation_space)
        return body(tensors, extract(tensors, inputs, statistics), statistics)

    distribution: sb3.Distribution = actor.action_dist
    if isinstance(distribution, sb3.StateDependentNoiseDistribution):
        log_std_name = names[id(actor.log_std)]
        shape = tuple(actor.log_std.shape)

        def explore(
            tensors: Tensors,
            observations: Observations,
            noise: jax.Array,
            statistics: Statistics | None,
        ) -> tuple[jax.Array, jax.Array]:
            latent = latent_of(tensors, observations, statistics)
            mean, log_std = mu(tensors, latent, statistics), tensors[log_std_name]
            actions = jnp.tanh(mean + linear(latent, (noise * jnp.exp(log_std)).T))
            std = noise_std(distribution, log_std, latent)
            return actions, _squashed_log_prob(actions, mean, std)

        return SquashedActor(lambda batch: shape, explore)
    log_std: object = actor.log_std  # a layer, without gSDE
    assert isinstance(log_std, nn.Linear)
    return _gaussian(latent_of, mu, lower(log_std, names), log_std.out_features)


def _gaussian(
    latent_of: Network, mu: Network, log_std_net: Network, action_dim: int
) -> SquashedActor:
    def act(
        tensors: Tensors,
        observations: Observations,
        noise: jax.Array,
        statistics: Statistics | None,
    ) -> tuple[jax.Array, jax.Array]:
        latent = latent_of(tensors, observations, statistics)
        mean = mu(tensors, latent, statistics)
        std = jnp.exp(jnp.clip(log_std_net(tensors, latent, statistics), *LOG_STD_RANGE))
        raw = mean + std * noise
        actions = jnp.tanh(raw)
        correction = jnp.log(1.0 - jnp.square(actions) + EPSILON).sum(axis=-1)
        return actions, normal_log_prob(raw, mean, std) - correction

    return SquashedActor(lambda batch: (batch, action_dim), act)


def _squashed_log_prob(actions: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """Return gSDE's log-probabilities, from the actions themselves as ``TanhBijector`` does."""
    tiny = float(np.finfo(np.float32).eps)
    inside = jnp.clip(actions, -1.0 + tiny, 1.0 - tiny)
    raw = 0.5 * (jnp.log1p(inside) - jnp.log1p(-inside))
    correction = jnp.log(1.0 - jnp.square(jnp.tanh(raw)) + EPSILON).sum(axis=-1)
    return normal_log_prob(raw, mean, std) - correction


def lower_critic(
    critic: ContinuousCritic, names: Mapping[int, str], count: int | None = None
) -> Critic:
    """Return a critic's networks as one function; a shared extractor learns from the actor only.

    Args:
        critic: Has the networks.
        names: Of its tensors, by ``id``.
        count: How many of them, from the first; all by default. What is left out costs nothing,
            while XLA computes the gradients of values that a loss drops.
    """
    extract = lower(critic.features_extractor, names)
    networks = [lower(network, names) for network in critic.q_networks[:count]]

    def judge(
        tensors: Tensors,
        observations: Observations,
        actions: jax.Array,
        statistics: Statistics | None,
    ) -> jax.Array:
        inputs = preprocess(observations, critic.observation_space)
        features = extract(tensors, inputs, statistics)
        if critic.share_features_extractor:
            features = lax.stop_gradient(features)
        joined = jnp.concatenate([features, actions], axis=1)
        return jnp.stack([network(tensors, joined, statistics) for network in networks])

    return judge
