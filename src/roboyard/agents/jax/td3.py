"""TD3 with a compiled update."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import lax
from stable_baselines3 import TD3

from roboyard.agents.jax.actors import lower_critic, lower_deterministic
from roboyard.agents.jax.networks import Tensors
from roboyard.agents.jax.off_policy import (
    Batch,
    DelayedActor,
    Metrics,
    OffPolicyLearner,
    Turn,
    bootstrapped,
    followed,
    polyak,
)
from roboyard.agents.jax.optimizers import Parameters


class JaxTD3(DelayedActor, TD3):
    """Twin delayed deterministic policy gradient (Fujimoto et al. 2018)."""

    def _lower(self, names: Mapping[int, str]) -> None:
        self._actor = lower_deterministic(self.actor, names)
        self._actor_target = lower_deterministic(self.actor_target, names)
        self._critic = lower_critic(self.critic, names)
        self._first_critic = lower_critic(self.critic, names, count=1)
        self._critic_target = lower_critic(self.critic_target, names)
        self._targets = followed(names, self.critic_target, self.critic)
        self._targets |= followed(names, self.actor_target, self.actor)

    def _gradient_step(
        self, learner: OffPolicyLearner, batch: Batch, turn: Turn
    ) -> tuple[OffPolicyLearner, Metrics]:
        before = learner.tensors
        target = self._target(before, batch, turn.key)

        def critic_loss(own: Parameters) -> jax.Array:
            tensors = {**before, **own}
            values = self._critic(tensors, batch["observations"], batch["actions"], None)
            return jnp.square(values - target).mean(axis=(1, 2)).sum()

        loss, gradients = jax.value_and_grad(critic_loss)(self._parameters(learner, "critic"))
        learner = self._apply(learner, "critic", gradients, turn.rate)
        acted = turn.number % self.policy_delay == 0
        learner, cost = lax.cond(
            acted,
            lambda learner: self._move_actor(learner, batch, turn.rate),
            lambda learner: (learner, jnp.float32(0.0)),
            learner,
        )
        return learner, {"critic_loss": loss, "actor_loss": cost, "acted": acted}

    def _target(self, tensors: Tensors, batch: Batch, key: jax.Array) -> jax.Array:
        """Return what the critics should say, with smoothed target actions (eq. 14)."""
        noise = self.target_policy_noise * jax.random.normal(key, batch["actions"].shape)
        noise = jnp.clip(noise, -self.target_noise_clip, self.target_noise_clip)
        following = batch["next_observations"]
        actions = jnp.clip(self._actor_target(tensors, following, None) + noise, -1.0, 1.0)
        values = self._critic_target(tensors, following, actions, None).min(axis=0)
        return bootstrapped(batch, self.gamma, values)

    def _move_actor(
        self, learner: OffPolicyLearner, batch: Batch, rate: jax.Array
    ) -> tuple[OffPolicyLearner, jax.Array]:
        """Move the actor up the first critic, and all targets behind."""
        tensors, observations = learner.tensors, batch["observations"]

        def loss(own: Parameters) -> jax.Array:
            actions = self._actor({**tensors, **own}, observations, None)
            return -self._first_critic(tensors, observations, actions, None).mean()

        value, gradients = jax.value_and_grad(loss)(self._parameters(learner, "actor"))
        learner = self._apply(learner, "actor", gradients, rate)
        return learner._replace(tensors=polyak(learner.tensors, self._targets, self.tau)), value
