"""PPO with a short update: actor and critic learn side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import TensorDict
from stable_baselines3.common.utils import explained_variance
from torch import Tensor, nn

from roboyard.agents.fast.lanes import Lanes
from roboyard.agents.fast.steps import (
    adam_step,
    clip,
    gradient_norms,
    has_stepped,
    steps_like_adam,
    unchecked_distributions,
)


class Rollout(NamedTuple):
    """Transitions as tensors, the first axis of each being the transition."""

    observations: Tensor | TensorDict
    actions: Tensor
    values: Tensor
    log_probs: Tensor
    advantages: Tensor
    returns: Tensor

    def take(self, rows: slice | Tensor) -> Rollout:
        """Return some of the transitions: views for a slice, copies for row numbers."""
        observations = self.observations
        if isinstance(observations, dict):
            chosen: Tensor | TensorDict = {key: part[rows] for key, part in observations.items()}
        else:
            chosen = observations[rows]
        return Rollout(chosen, *(part[rows] for part in self[1:]))


class Halves(NamedTuple):
    """The parameters of an actor-critic policy that shares none between the two."""

    actor: list[nn.Parameter]
    critic: list[nn.Parameter]


class PPO(stable_baselines3.PPO):
    """SB3's PPO; the update takes half the time and gives the same bits.

    The losses of actor and critic have no parameter in common unless they share a network that
    extracts features; each half then has its own backward pass and optimiser step, side by side
    with the other's on two cores. The rollout becomes tensors once per update and is shuffled
    once per epoch; statistics are read once, at the end.
    """

    lanes = Lanes()

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "lanes"]

    def train(self) -> None:
        """Learn from the rollout; see SB3's PPO."""
        halves = split(self.policy)
        if halves is None or not steps_like_adam(self.policy.optimizer):
            super().train()
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        with unchecked_distributions():
            statistics = self._learn(halves)
        self._n_updates += len(statistics)
        self._log(statistics)

    def _learn(self, halves: Halves) -> list[list[Tensor]]:
        """Make the epochs' passes; return each minibatch's statistics, by epoch."""
        update = _Update(self, halves)
        rollout: Rollout | None = None
        epochs: list[list[Tensor]] = []
        for _ in range(self.n_epochs):
            order = self._shuffled()
            rollout = self._tensors() if rollout is None else rollout
            statistics: list[Tensor] = []
            epochs.append(statistics)
            for batch in minibatches(rollout.take(order), self.batch_size):
                statistics.append(update.gradients(batch))
                if self.target_kl is not None and statistics[-1][_KL] > 1.5 * self.target_kl:
                    return epochs
                update.step()
        return epochs

    def _shuffled(self) -> Tensor:
        buffer = self.rollout_buffer
        order = np.random.permutation(buffer.buffer_size * buffer.n_envs)
        return torch.from_numpy(order).to(self.device)

    def _tensors(self) -> Rollout:
        """Return the rollout as the buffer would hand it out, unshuffled."""
        buffer = self.rollout_buffer
        flat = buffer.swap_and_flatten
        observations: Tensor | TensorDict
        if isinstance(buffer.observations, dict):
            observations = {
                key: buffer.to_torch(flat(part)) for key, part in buffer.observations.items()
            }
        else:
            observations = buffer.to_torch(flat(buffer.observations))
        actions = flat(buffer.actions).astype(np.float32, copy=False)
        columns = (buffer.values, buffer.log_probs, buffer.advantages, buffer.returns)
        return Rollout(
            observations,
            buffer.to_torch(actions),
            *(buffer.to_torch(flat(column).flatten()) for column in columns),
        )

    def _log(self, epochs: list[list[Tensor]]) -> None:
        table = torch.stack([row for rows in epochs for row in rows]).double().cpu().numpy()
        last = table[-len(epochs[-1]) :]
        for column, name in enumerate(_NAMES):
            # SB3 reports the divergence of the last epoch, and means over all for the others.
            rows = last if column == _KL else table
            self.logger.record(f"train/{name}", rows[:, column].mean())
        self.logger.record("train/loss", table[-1, _LOSS])
        buffer = self.rollout_buffer
        explained = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        self.logger.record("train/explained_variance", explained)
        if hasattr(self.policy, "log_std"):
            std = self.policy.log_std.detach().exp().mean().item()
            self.logger.record("train/std", std)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        progress = self._current_progress_remaining
        self.logger.record("train/clip_range", self.clip_range(progress))  # type: ignore[operator]
        if self.clip_range_vf is not None:
            limit = self.clip_range_vf(progress)  # type: ignore[operator]
            self.logger.record("train/clip_range_vf", limit)


_NAMES = ("policy_gradient_loss", "entropy_loss", "approx_kl", "clip_fraction", "value_loss")
_KL = _NAMES.index("approx_kl")
_LOSS = len(_NAMES)


class _Update:
    """One update's settings, and what a minibatch does."""

    def __init__(self, algorithm: PPO, halves: Halves) -> None:
        progress = algorithm._current_progress_remaining
        self._algorithm = algorithm
        self._policy = algorithm.policy
        self._halves = halves
        self._lanes = algorithm.lanes
        self._clip = algorithm.clip_range(progress)  # type: ignore[operator]
        self._clip_value: float | None = None
        if algorithm.clip_range_vf is not None:
            self._clip_value = algorithm.clip_range_vf(progress)  # type: ignore[operator]
        self._is_discrete = isinstance(algorithm.action_space, spaces.Discrete)
        self._norms: list[Tensor] = []
        ranks = {id(p): rank for rank, p in enumerate(algorithm.policy.parameters())}
        mixed = [ranks[id(p)] for p in (*halves.actor, *halves.critic)]
        self._order = [mixed.index(rank) for rank in range(len(mixed))]

    def gradients(self, batch: Rollout) -> Tensor:
        """Set all gradients; return the statistics, in the order of ``_NAMES``, and the loss."""
        for parameter in (*self._halves.actor, *self._halves.critic):
            parameter.grad = None
        features = self._policy.extract_features(batch.observations)
        pi, vf = features if isinstance(features, tuple) else (features, features)

        def critic() -> tuple[Tensor, list[Tensor]]:
            loss = self._value_loss(batch, vf)
            torch.autograd.backward(self._algorithm.vf_coef * loss)
            return loss.detach(), gradient_norms(self._halves.critic)

        def actor() -> tuple[Tensor, list[Tensor]]:
            statistics = self._actor(batch, pi)
            return statistics, gradient_norms(self._halves.actor)

        (numbers, norms), (value_loss, more) = self._lanes.both(actor, critic)
        mixed = norms + more
        self._norms = [mixed[position] for position in self._order]  # the sum rounds as SB3's
        algorithm = self._algorithm
        policy_loss, entropy_loss = numbers[0], numbers[1]
        loss = policy_loss + algorithm.ent_coef * entropy_loss + algorithm.vf_coef * value_loss
        return torch.cat([numbers, torch.stack([value_loss, loss])])

    def step(self) -> None:
        """Clip the gradients and let both halves step."""
        optimizer = self._policy.optimizer
        actor, critic = self._halves
        clip([*actor, *critic], self._norms, self._algorithm.max_grad_norm)
        if not has_stepped(optimizer):
            optimizer.step()
            return
        self._lanes.both(lambda: adam_step(optimizer, actor), lambda: adam_step(optimizer, critic))

    def _actor(self, batch: Rollout, features: Tensor) -> Tensor:
        policy = self._policy
        latent = policy.mlp_extractor.forward_actor(features)
        distribution = policy._get_action_dist_from_latent(latent)
        actions = batch.actions.long().flatten() if self._is_discrete else batch.actions
        log_prob = distribution.log_prob(actions)
        log_ratio = log_prob - batch.log_probs
        ratio = log_ratio.exp()
        advantages = batch.advantages
        if self._algorithm.normalize_advantage and len(advantages) > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        clipped = torch.clamp(ratio, 1 - self._clip, 1 + self._clip)
        policy_loss = -torch.min(advantages * ratio, advantages * clipped).mean()
        weight = self._algorithm.ent_coef
        with torch.set_grad_enabled(weight != 0):
            entropy = distribution.entropy()
            mean = -log_prob if entropy is None else entropy
            entropy_loss = -mean.mean()
        loss = policy_loss + weight * entropy_loss if weight else policy_loss
        torch.autograd.backward(loss)
        with torch.no_grad():
            divergence = ((ratio - 1) - log_ratio).mean()
            clipped_share = ((ratio - 1).abs() > self._clip).float().mean()
            return torch.stack([policy_loss, entropy_loss, divergence, clipped_share])

    def _value_loss(self, batch: Rollout, features: Tensor) -> Tensor:
        policy = self._policy
        values = policy.value_net(policy.mlp_extractor.forward_critic(features)).flatten()
        if self._clip_value is not None:
            change = torch.clamp(values - batch.values, -self._clip_value, self._clip_value)
            values = batch.values + change
        return nn.functional.mse_loss(batch.returns, values)


def minibatches(rollout: Rollout, size: int) -> Iterator[Rollout]:
    """Cut shuffled transitions into views of at most ``size``."""
    for start in range(0, len(rollout.actions), size):
        yield rollout.take(slice(start, start + size))


def split(policy: ActorCriticPolicy) -> Halves | None:
    """Return the halves of a policy, or None if its two networks cannot learn apart."""
    changed = any(
        getattr(type(policy), name) is not getattr(ActorCriticPolicy, name)
        for name in ("evaluate_actions", "extract_features", "_get_action_dist_from_latent")
    )
    if changed or list(policy.features_extractor.parameters()):
        return None
    critic = [*policy.mlp_extractor.value_net.parameters(), *policy.value_net.parameters()]
    if not policy.share_features_extractor:
        critic = [*policy.vf_features_extractor.parameters(), *critic]
    numbers = {id(parameter) for parameter in critic}
    actor = [p for p in policy.parameters() if id(p) not in numbers]
    return Halves(actor, critic)
