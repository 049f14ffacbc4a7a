"""Soft actor-critic and truncated quantile critics with a compiled update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import torch
from sb3_contrib import TQC
from stable_baselines3 import SAC

from roboyard.agents.jax.actors import lower_critic, lower_squashed
from roboyard.agents.jax.networks import Tensors
from roboyard.agents.jax.off_policy import (
    ENTROPY_COEFFICIENT,
    Batch,
    CompiledOffPolicy,
    Metrics,
    OffPolicyLearner,
    Turn,
    bootstrapped,
    followed,
    polyak,
)
from roboyard.agents.jax.optimizers import Parameters


class EntropyRegularised(CompiledOffPolicy):
    """What SAC, TQC and CrossQ share: a squashed stochastic actor and its entropy's weight."""

    target_entropy: Any
    ent_coef_tensor: torch.Tensor

    def _lower(self, names: Mapping[int, str]) -> None:
        self._actor = lower_squashed(self.actor, names)
        self._critic = lower_critic(self.critic, names)

    def _noise(self, key: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array]:
        """Draw noise for the actions and the next actions; gSDE has one matrix for both."""
        shape = self._actor.noise_shape(len(batch["rewards"]))
        if self.use_sde:
            noise = jax.random.normal(key, shape)
            return noise, noise
        noise, next_noise = jax.random.normal(key, (2, *shape))
        return noise, next_noise

    def _entropy_weight(self, tensors: Tensors) -> jax.Array:
        if ENTROPY_COEFFICIENT in tensors:
            return jnp.exp(tensors[ENTROPY_COEFFICIENT])[0]
        return jnp.asarray(self.ent_coef_tensor.item(), jnp.float32)

    def _move_entropy_weight(
        self, learner: OffPolicyLearner, log_prob: jax.Array, rate: jax.Array
    ) -> tuple[OffPolicyLearner, Metrics]:
        """Move the weight towards the target entropy (Haarnoja et al. 2018b, eq. 18)."""
        if ENTROPY_COEFFICIENT not in learner.tensors:
            return learner, {}
        surplus: jax.Array = jax.lax.stop_gradient(log_prob + self.target_entropy)

        def loss(own: Parameters) -> jax.Array:
            return -jnp.mean(own[ENTROPY_COEFFICIENT] * surplus)

        value, gradients = jax.value_and_grad(loss)(self._parameters(learner, "entropy"))
        return self._apply(learner, "entropy", gradients, rate), {"ent_coef_loss": value}


class SoftActorCritic(EntropyRegularised):
    """What SAC and TQC share; they differ in what their critics estimate."""

    critic_target: Any
    target_update_interval: int
    tau: float

    def _lower(self, names: Mapping[int, str]) -> None:
        super()._lower(names)
        self._critic_target = lower_critic(self.critic_target, names)
        self._targets = followed(names, self.critic_target, self.critic)

    def _gradient_step(
        self, learner: OffPolicyLearner, batch: Batch, turn: Turn
    ) -> tuple[OffPolicyLearner, Metrics]:
        before = learner.tensors
        noise, next_noise = self._noise(turn.key, batch)

        def act(own: Parameters) -> tuple[jax.Array, jax.Array]:
            return self._actor.act({**before, **own}, batch["observations"], noise, None)

        (actions, log_prob), pull_back = jax.vjp(act, self._parameters(learner, "actor"))
        weight = self._entropy_weight(before)
        learner, metrics = self._move_entropy_weight(learner, log_prob, turn.rate)
        target = self._target(before, batch, weight, next_noise)

        def critic_loss(own: Parameters) -> jax.Array:
            tensors = {**before, **own}
            values = self._critic(tensors, batch["observations"], batch["actions"], None)
            return self._critic_loss(values, target)

        loss, gradients = jax.value_and_grad(critic_loss)(self._parameters(learner, "critic"))
        learner = self._apply(learner, "critic", gradients, turn.rate)

        def actor_loss(actions: jax.Array, log_prob: jax.Array) -> jax.Array:
            values = self._critic(learner.tensors, batch["observations"], actions, None)
            return (weight * log_prob - self._worth(values)).mean()

        cost, slopes = jax.value_and_grad(actor_loss, (0, 1))(actions, log_prob)
        (gradients,) = pull_back(slopes)
        learner = self._apply(learner, "actor", gradients, turn.rate)
        metrics |= {"ent_coef": weight, "actor_loss": cost, "critic_loss": loss}
        return self._follow(learner, turn.number), metrics

    def _follow(self, learner: OffPolicyLearner, number: jax.Array) -> OffPolicyLearner:
        """Move the target networks, at each n-th step of the run."""
        due = number % self.target_update_interval == 0
        share = jnp.where(due, self.tau, 0.0) if self.target_update_interval > 1 else self.tau
        return learner._replace(tensors=polyak(learner.tensors, self._targets, share))

    def _target(
        self, tensors: Tensors, batch: Batch, weight: jax.Array, noise: jax.Array
    ) -> jax.Array:
        """Return what the critics should say, shape (batch, outputs)."""
        following = batch["next_observations"]
        actions, log_prob = self._actor.act(tensors, following, noise, None)
        values = self._next_values(self._critic_target(tensors, following, actions, None))
        soft = values - weight * log_prob[:, None]
        return bootstrapped(batch, self.gamma, soft)

    def _next_values(self, values: jax.Array) -> jax.Array:
        """Return the careful estimate of the targets' values, shape (batch, outputs)."""
        raise NotImplementedError

    def _critic_loss(self, values: jax.Array, target: jax.Array) -> jax.Array:
        raise NotImplementedError

    def _worth(self, values: jax.Array) -> jax.Array:
        """Return what the actor maximises, shape (batch,)."""
        raise NotImplementedError


class JaxSAC(SoftActorCritic, SAC):
    """Soft actor-critic (Haarnoja et al. 2018) with a compiled update."""

    def _next_values(self, values: jax.Array) -> jax.Array:
        return values.min(axis=0)

    def _critic_loss(self, values: jax.Array, target: jax.Array) -> jax.Array:
        return 0.5 * jnp.square(values - target).mean(axis=(1, 2)).sum()

    def _worth(self, values: jax.Array) -> jax.Array:
        return values.min(axis=0)[:, 0]


class JaxTQC(SoftActorCritic, TQC):
    """Truncated quantile critics (Kuznetsov et al. 2020) with a compiled update."""

    def _next_values(self, values: jax.Array) -> jax.Array:
        dropped = self.top_quantiles_to_drop_per_net * self.critic.n_critics
        pooled = values.swapaxes(0, 1).reshape(values.shape[1], -1)
        return jnp.sort(pooled, axis=1)[:, : self.critic.quantiles_total - dropped]

    def _critic_loss(self, values: jax.Array, target: jax.Array) -> jax.Array:
        """Return the quantile Huber loss (eq. 8), averaged over the quantiles."""
        quantiles = values.shape[-1]
        fractions = ((jnp.arange(quantiles) + 0.5) / quantiles)[:, None]
        error = target[None, :, None, :] - values[..., None]
        size = jnp.abs(error)
        huber = jnp.where(size > 1.0, size - 0.5, 0.5 * jnp.square(error))
        return (jnp.abs(fractions - (error < 0.0)) * huber).mean()

    def _worth(self, values: jax.Array) -> jax.Array:
        return values.mean(axis=2).mean(axis=0)
