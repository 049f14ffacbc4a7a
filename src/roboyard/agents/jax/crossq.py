"""CrossQ with a compiled update."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from sb3_contrib import CrossQ

from roboyard.agents.jax.networks import Statistics
from roboyard.agents.jax.off_policy import (
    Batch,
    DelayedActor,
    Metrics,
    OffPolicyLearner,
    Turn,
    bootstrapped,
)
from roboyard.agents.jax.optimizers import Parameters
from roboyard.agents.jax.soft import EntropyRegularised


class JaxCrossQ(EntropyRegularised, DelayedActor, CrossQ):
    """CrossQ (Bhatt et al. 2024): batch normalisation instead of target networks."""

    def _gradient_step(
        self, learner: OffPolicyLearner, batch: Batch, turn: Turn
    ) -> tuple[OffPolicyLearner, Metrics]:
        noise, next_noise = self._noise(turn.key, batch)
        weight = self._entropy_weight(learner.tensors)
        learner, loss = self._move_critic(learner, batch, turn.rate, weight, next_noise)
        acted = turn.number % self.policy_delay == 0

        def act(learner: OffPolicyLearner) -> tuple[OffPolicyLearner, Metrics]:
            return self._move_actor(learner, batch, turn.rate, weight, noise)

        def wait(learner: OffPolicyLearner) -> tuple[OffPolicyLearner, Metrics]:
            _, metrics = jax.eval_shape(act, learner)
            return learner, {name: jnp.zeros((), shape.dtype) for name, shape in metrics.items()}

        learner, metrics = lax.cond(acted, act, wait, learner)
        return learner, metrics | {"ent_coef": weight, "critic_loss": loss, "acted": acted}

    def _move_critic(
        self,
        learner: OffPolicyLearner,
        batch: Batch,
        rate: jax.Array,
        weight: jax.Array,
        noise: jax.Array,
    ) -> tuple[OffPolicyLearner, jax.Array]:
        """Fit the critics, with both halves of the transition in one normalised batch."""
        before, following = learner.tensors, batch["next_observations"]
        actions, log_prob = self._actor.act(before, following, noise, None)
        observations = jax.tree.map(_joined, batch["observations"], following)
        all_actions = _joined(batch["actions"], actions)

        def objective(own: Parameters) -> tuple[jax.Array, Statistics]:
            statistics: Statistics = {}
            values = self._critic({**before, **own}, observations, all_actions, statistics)
            current, after = jnp.split(values[..., 0], 2, axis=1)
            soft = after.min(axis=0) - weight * log_prob
            target = lax.stop_gradient(bootstrapped(batch, self.gamma, soft[:, None])[:, 0])
            return 0.5 * jnp.square(current - target).mean(axis=1).sum(), statistics

        own = self._parameters(learner, "critic")
        (loss, statistics), gradients = jax.value_and_grad(objective, has_aux=True)(own)
        learner = self._apply(learner, "critic", gradients, rate)
        return learner._replace(tensors={**learner.tensors, **statistics}), loss

    def _move_actor(
        self,
        learner: OffPolicyLearner,
        batch: Batch,
        rate: jax.Array,
        weight: jax.Array,
        noise: jax.Array,
    ) -> tuple[OffPolicyLearner, Metrics]:
        before, observations = learner.tensors, batch["observations"]

        def objective(own: Parameters) -> tuple[jax.Array, tuple[jax.Array, Statistics]]:
            statistics: Statistics = {}
            tensors = {**before, **own}
            actions, log_prob = self._actor.act(tensors, observations, noise, statistics)
            worth = self._critic(before, observations, actions, None).min(axis=0)[:, 0]
            return (weight * log_prob - worth).mean(), (log_prob, statistics)

        own = self._parameters(learner, "actor")
        (cost, (log_prob, statistics)), gradients = jax.value_and_grad(objective, has_aux=True)(own)
        learner, metrics = self._move_entropy_weight(learner, log_prob, rate)
        learner = self._apply(learner, "actor", gradients, rate)
        learner = learner._replace(tensors={**learner.tensors, **statistics})
        return learner, metrics | {"actor_loss": cost}


def _joined(now: jax.Array, then: jax.Array) -> jax.Array:
    return jnp.concatenate([now, then])
