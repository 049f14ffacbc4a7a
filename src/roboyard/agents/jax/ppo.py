"""PPO whose update over all epochs and minibatches is one compiled call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import lax
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import explained_variance

from roboyard.agents.jax.cache import publish
from roboyard.agents.jax.distributions import lower_likelihood
from roboyard.agents.jax.exchange import copies, fetch, put
from roboyard.agents.jax.networks import Tensors, lower, tensor_names, tensors_of
from roboyard.agents.jax.observations import Observations, preprocess
from roboyard.agents.jax.optimizers import Adam, Moments, Parameters, clip
from roboyard.agents.jax.runtime import named_for
from roboyard.agents.torch.rollouts import OverlappedRollouts

Batch = dict[str, Any]
"""Columns of a rollout; observations may be a dictionary themselves."""
Metrics = dict[str, jax.Array]
Evaluate = Callable[[Tensors, Observations, jax.Array], tuple[jax.Array, jax.Array, jax.Array]]
"""From tensors, observations and actions to values, log-probabilities and entropies."""


class Ranges(NamedTuple):
    """What a schedule may change between updates."""

    learning_rate: float
    clip: float
    clip_values: float


class PPOLearner(NamedTuple):
    """What an update changes."""

    parameters: Parameters
    moments: Moments
    going: jax.Array
    """False after the policy has moved further than ``target_kl``."""


class JaxPPO(OverlappedRollouts, PPO):
    """Proximal policy optimisation with a compiled update.

    The minibatches are those that ``PPO`` would draw from the same NumPy generator, so both
    backends learn the same from the same rollout, up to rounding.
    """

    policy: ActorCriticPolicy
    learner_device: jax.Device
    """Where the update runs."""

    def compile(self, device: jax.Device) -> None:
        """Prepare the update.

        Args:
            device: Where it will run.

        Raises:
            ConfigError: The networks have a layer that cannot be compiled.
        """
        self.learner_device = device
        names = tensor_names(self.policy)
        self._adam = Adam(self.policy.optimizer, names)
        self._evaluate = _lower_policy(self.policy, names)
        self._update = jax.jit(named_for(device, self._all_steps), donate_argnums=0)

    def train(self) -> None:
        """Update the policy from the rollout buffer."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        ranges = self._ranges()
        buffer = self.rollout_buffer
        tensors = copies(tensors_of(self.policy))
        learner = PPOLearner(tensors, self._adam.read(), np.True_)  # type: ignore[arg-type]
        learner, metrics = self._update(
            put(learner, self.learner_device),
            put((_columns(buffer), self._minibatches(), ranges), self.learner_device),
        )
        learner, metrics = fetch((learner, metrics))
        for name, tensor in tensors_of(self.policy).items():
            tensor.detach().numpy()[...] = learner.parameters[name]
        self._adam.write(learner.moments)
        publish()
        self._record(metrics, ranges)

    def _ranges(self) -> Ranges:
        remaining = self._current_progress_remaining
        assert callable(self.clip_range)
        values = self.clip_range_vf
        return Ranges(
            self.policy.optimizer.param_groups[0]["lr"],
            self.clip_range(remaining),
            values(remaining) if callable(values) else 0.0,
        )

    def _minibatches(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Draw the samples of every minibatch.

        Returns:
            Whole minibatches, shape (epochs, batches, batch_size), and each epoch's remainder,
            shape (epochs, samples).
        """
        size = self.rollout_buffer.buffer_size * self.n_envs
        drawn = [np.random.permutation(size) for _ in range(self.n_epochs)]
        order = np.asarray(drawn, dtype=np.int32)
        whole = size - size % self.batch_size
        return (
            order[:, :whole].reshape(self.n_epochs, -1, self.batch_size),
            order[:, whole:],
        )

    def _all_steps(
        self, learner: PPOLearner, data: tuple[Batch, tuple[jax.Array, jax.Array], Ranges]
    ) -> tuple[PPOLearner, Metrics]:
        """Take every optimisation step of an update; metrics have shape (epochs, steps)."""
        columns, (whole, rest), ranges = data

        def step(learner: PPOLearner, chosen: jax.Array) -> tuple[PPOLearner, Metrics]:
            batch = jax.tree.map(lambda column: column[chosen], columns)
            return self._step(learner, batch, ranges)

        def epoch(
            learner: PPOLearner, chosen: tuple[jax.Array, jax.Array]
        ) -> tuple[PPOLearner, Metrics]:
            learner, metrics = lax.scan(step, learner, chosen[0])
            if rest.shape[1]:
                learner, last = step(learner, chosen[1])
                joined = jnp.append
                metrics = jax.tree.map(joined, metrics, last)
            return learner, metrics

        return lax.scan(epoch, learner, (whole, rest))

    def _step(
        self, learner: PPOLearner, batch: Batch, ranges: Ranges
    ) -> tuple[PPOLearner, Metrics]:
        objective = partial(self._loss, batch=batch, ranges=ranges)
        gradients, metrics = jax.grad(objective, has_aux=True)(learner.parameters)
        metrics["counts"] = learner.going
        going = learner.going
        if self.target_kl is not None:
            going = going & (metrics["approx_kl"] <= 1.5 * self.target_kl)
        moved, moments = self._adam.step(
            learner.parameters,
            clip(gradients, self.max_grad_norm),
            learner.moments,
            ranges.learning_rate,  # type: ignore[arg-type]
        )
        if self.target_kl is not None:
            moved, moments = jax.tree.map(
                partial(jnp.where, going),
                (moved, moments),
                (learner.parameters, learner.moments),
            )
        return PPOLearner(moved, moments, going), metrics

    def _loss(
        self, parameters: Parameters, batch: Batch, ranges: Ranges
    ) -> tuple[jax.Array, Metrics]:
        """Return the clipped surrogate loss (Schulman et al. 2017, eq. 9) and its parts."""
        values, log_prob, entropy = self._evaluate(
            parameters, batch["observations"], batch["actions"]
        )
        advantages = batch["advantages"]
        if self.normalize_advantage and len(advantages) > 1:
            spread = jnp.std(advantages, ddof=1) + 1e-8
            advantages = (advantages - jnp.mean(advantages)) / spread
        log_ratio = log_prob - batch["old_log_prob"]
        ratio = jnp.exp(log_ratio)
        clipped = jnp.clip(ratio, 1.0 - ranges.clip, 1.0 + ranges.clip)
        policy_loss = -jnp.minimum(advantages * ratio, advantages * clipped).mean()
        if self.clip_range_vf is not None:
            change = values - batch["old_values"]
            limited = jnp.clip(change, -ranges.clip_values, ranges.clip_values)
            values = batch["old_values"] + limited
        value_loss = jnp.square(batch["returns"] - values).mean()
        entropy_loss = -entropy.mean()
        loss = policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss
        return loss, {
            "loss": loss,
            "policy_gradient_loss": policy_loss,
            "value_loss": value_loss,
            "entropy_loss": entropy_loss,
            "clip_fraction": (jnp.abs(ratio - 1.0) > ranges.clip).mean(),
            "approx_kl": (ratio - 1.0 - log_ratio).mean(),
        }

    def _record(self, metrics: dict[str, npt.NDArray[Any]], ranges: Ranges) -> None:
        """Log what ``PPO.train`` logs; steps after ``target_kl`` was passed do not count."""
        counts = metrics.pop("counts")
        epochs = int(counts.any(axis=1).sum())
        self._n_updates += epochs
        buffer, record = self.rollout_buffer, self.logger.record
        last_epoch = metrics["approx_kl"][epochs - 1][counts[epochs - 1]]
        for name in ("entropy_loss", "policy_gradient_loss", "value_loss"):
            record(f"train/{name}", np.mean(metrics[name][counts]).item())
        record("train/approx_kl", np.mean(last_epoch).item())
        record("train/clip_fraction", np.mean(metrics["clip_fraction"][counts]).item())
        record("train/loss", metrics["loss"][counts][-1].item())
        variance = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        record("train/explained_variance", variance)
        if hasattr(self.policy, "log_std"):
            record("train/std", self.policy.log_std.exp().mean().item())
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        record("train/clip_range", ranges.clip)
        if self.clip_range_vf is not None:
            record("train/clip_range_vf", ranges.clip_values)


def _columns(buffer: RolloutBuffer) -> Batch:
    """Return a rollout's columns, shape (n_steps * n_envs, ...), in ``buffer.get``'s order."""
    flat = buffer.swap_and_flatten
    observations: object = buffer.observations
    return {
        "observations": (
            {key: flat(part) for key, part in observations.items()}
            if isinstance(observations, dict)
            else flat(buffer.observations)
        ),
        "actions": flat(buffer.actions),
        "advantages": flat(buffer.advantages)[:, 0],
        "returns": flat(buffer.returns)[:, 0],
        "old_values": flat(buffer.values)[:, 0],
        "old_log_prob": flat(buffer.log_probs)[:, 0],
    }


def _lower_policy(policy: ActorCriticPolicy, names: dict[int, str]) -> Evaluate:
    """Return ``policy.evaluate_actions`` as a function of tensors, observations and actions."""
    actor = lower(policy.mlp_extractor.policy_net, names)
    critic = lower(policy.mlp_extractor.value_net, names)
    value = lower(policy.value_net, names)
    extract_pi = lower(policy.pi_features_extractor, names)
    extract_vf = lower(policy.vf_features_extractor, names)
    likelihood = lower_likelihood(policy, names)

    def evaluate(
        tensors: Tensors, observations: Observations, actions: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        inputs = preprocess(observations, policy.observation_space)
        features = extract_pi(tensors, inputs, None)
        latent = actor(tensors, features, None)
        if not policy.share_features_extractor:
            features = extract_vf(tensors, inputs, None)
        values = value(tensors, critic(tensors, features, None), None)[:, 0]
        return values, *likelihood(tensors, latent, actions)

    return evaluate
