"""Log-probabilities and entropies of ``stable_baselines3.common.distributions``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import lax
from stable_baselines3.common import distributions as sb3
from stable_baselines3.common.policies import ActorCriticPolicy

from roboyard.agents.jax.networks import Tensors, lower
from roboyard.agents.jax.products import linear
from roboyard.errors import ConfigError

Likelihood = Callable[[Tensors, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
"""From tensors, the actor's latent features and actions to log-probabilities and entropies."""

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def normal_log_prob(x: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """Return the log-density of independent normals, summed over the last axis."""
    z = (x - mean) / std
    return (-0.5 * jnp.square(z) - jnp.log(std) - _HALF_LOG_2PI).sum(axis=-1)


def normal_entropy(std: jax.Array) -> jax.Array:
    """Return the entropy of independent normals, summed over the last axis."""
    return (0.5 + _HALF_LOG_2PI + jnp.log(std)).sum(axis=-1)


def lower_likelihood(policy: ActorCriticPolicy, names: Mapping[int, str]) -> Likelihood:
    """Return an on-policy policy's action distribution as a function.

    Raises:
        ConfigError: The distribution is not known here.
    """
    head = lower(policy.action_net, names)
    distribution = policy.action_dist
    log_std = names[id(policy.log_std)] if hasattr(policy, "log_std") else ""
    if type(distribution) is sb3.DiagGaussianDistribution:

        def gaussian(
            tensors: Tensors, latent: jax.Array, actions: jax.Array
        ) -> tuple[jax.Array, jax.Array]:
            mean = head(tensors, latent, None)
            std = jnp.broadcast_to(jnp.exp(tensors[log_std]), mean.shape)
            return normal_log_prob(actions, mean, std), normal_entropy(std)

        return gaussian
    if isinstance(distribution, sb3.StateDependentNoiseDistribution):
        gsde = distribution

        def state_dependent(
            tensors: Tensors, latent: jax.Array, actions: jax.Array
        ) -> tuple[jax.Array, jax.Array]:
            std = noise_std(gsde, tensors[log_std], latent)
            mean = head(tensors, latent, None)
            return normal_log_prob(actions, mean, std), normal_entropy(std)

        return state_dependent
    return _discrete(distribution, lambda tensors, latent: head(tensors, latent, None))


def noise_std(
    distribution: sb3.StateDependentNoiseDistribution, log_std: jax.Array, latent: jax.Array
) -> jax.Array:
    """Return gSDE's standard deviation of each action (Raffin et al. 2021, eq. 9)."""
    features = latent if distribution.learn_features else lax.stop_gradient(latent)
    variance = linear(jnp.square(features), jnp.square(jnp.exp(log_std)).T)
    return jnp.sqrt(variance + distribution.epsilon)


def _discrete(
    distribution: sb3.Distribution, logits_of: Callable[[Tensors, jax.Array], jax.Array]
) -> Likelihood:
    judge: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
    if isinstance(distribution, sb3.BernoulliDistribution):
        judge = _bernoulli
    elif isinstance(distribution, sb3.CategoricalDistribution):
        judge = _categoricals((distribution.action_dim,))
    elif isinstance(distribution, sb3.MultiCategoricalDistribution):
        judge = _categoricals(tuple(int(n) for n in distribution.action_dims))
    else:
        raise ConfigError(
            f"agent.backend jax has no {type(distribution).__name__}. Use agent.backend: torch."
        )
    return lambda tensors, latent, actions: judge(logits_of(tensors, latent), actions)


def _bernoulli(logits: jax.Array, actions: jax.Array) -> tuple[jax.Array, jax.Array]:
    on, off = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    probability = jax.nn.sigmoid(logits)
    entropy = -(probability * on + (1.0 - probability) * off)
    return (actions * on + (1.0 - actions) * off).sum(axis=-1), entropy.sum(axis=-1)


def _categoricals(
    sizes: tuple[int, ...],
) -> Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]

    def judge(logits: jax.Array, actions: jax.Array) -> tuple[jax.Array, jax.Array]:
        chosen = actions.reshape(len(logits), len(sizes)).astype(jnp.int32)
        log_prob = entropy = jnp.zeros(len(logits))
        for i, part in enumerate(jnp.split(logits, ends, axis=-1)):
            log_p = jax.nn.log_softmax(part)
            log_prob += jnp.take_along_axis(log_p, chosen[:, i : i + 1], axis=-1)[:, 0]
            entropy -= (jnp.exp(log_p) * log_p).sum(axis=-1)
        return log_prob, entropy

    return judge
