"""PPO with a short update: actor and critic learn side by side."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import TensorDict
from stable_baselines3.common.utils import explained_variance
from torch import Tensor, nn

from roboyard.agents.fast.denormals import flushed
from roboyard.agents.fast.learners import ParallelLearner
from roboyard.agents.fast.rollouts import OverlappedRollouts
from roboyard.agents.fast.steps import (
    AdamSteps,
    clip,
    gradient_norms,
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


class PPO(ParallelLearner, OverlappedRollouts, stable_baselines3.PPO):
    """SB3's PPO; the update takes half the time and gives the same bits.

    The losses of actor and critic have no parameter in common unless they share a network that
    extracts features; each half then has its own backward pass and optimiser step, side by side
    with the other's on two cores. The rollout becomes tensors once per update and is shuffled
    once per epoch; statistics are read once, at the end.
    """

    def train(self) -> None:
        """Learn from the rollout; see SB3's PPO."""
        halves = split(self.policy)
        if halves is None or not steps_like_adam(self.policy.optimizer):
            super().train()
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        with flushed(), unchecked_distributions():
            statistics = self._learn(halves)
        self._n_updates += len(statistics)
        self._log(statistics)

    def _learn(self, halves: Halves) -> list[Tensor]:
        """Make the epochs' passes; return each epoch's statistics, a row per minibatch."""
        update = _Update(self, halves)
        rollout: Rollout | None = None
        epochs: list[Tensor] = []
        for _ in range(self.n_epochs):
            order = self._shuffled()
            rollout = self._tensors() if rollout is None else rollout
            batches = update.prepare(rollout.take(order), self.batch_size)
            numbers, value_losses = self.lanes.meet(
                update.lane(_ACTOR, batches), update.lane(_CRITIC, batches)
            )
            epochs.append(torch.column_stack([torch.stack(numbers), torch.stack(value_losses)]))
            if update.has_moved_far(numbers[-1]):
                break
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

    def _log(self, epochs: list[Tensor]) -> None:
        rows = torch.cat(epochs)
        losses = rows[:, 0] + self.ent_coef * rows[:, 1] + self.vf_coef * rows[:, -1]
        table = rows.double().cpu().numpy()
        last = table[-len(epochs[-1]) :]
        for column, name in enumerate(_NAMES):
            # SB3 reports the divergence of the last epoch, and means over all for the others.
            counted = last if column == _KL else table
            self.logger.record(f"train/{name}", counted[:, column].mean())
        self.logger.record("train/loss", losses[-1].item())
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
_ACTOR, _CRITIC = 0, 1

Lane = Generator[tuple[Tensor, bool], tuple[Tensor, bool], list[Tensor]]
"""A half's passes over an epoch; gives and gets norms of gradients and whether to stop."""


class _Update:
    """One update: its settings, and what each half of the policy does."""

    def __init__(self, algorithm: PPO, halves: Halves) -> None:
        policy, progress = algorithm.policy, algorithm._current_progress_remaining
        self._algorithm, self._policy, self._halves = algorithm, policy, halves
        self._gradients = (self._actor_gradients, self._critic_gradients)
        self._keys = (
            ("actor", algorithm.ent_coef, algorithm.normalize_advantage, *map(id, halves.actor)),
            ("critic", algorithm.vf_coef, *map(id, halves.critic)),
        )
        self._steps = tuple(AdamSteps(policy.optimizer, half) for half in halves)
        # Tensors, so that a schedule needs no new program.
        clip = algorithm.clip_range(progress)  # type: ignore[operator]
        self._clip = self._tensors(1 - clip, 1 + clip, clip)
        self._value_clip: tuple[Tensor, ...] = ()
        if algorithm.clip_range_vf is not None:
            clip = algorithm.clip_range_vf(progress)  # type: ignore[operator]
            self._value_clip = self._tensors(-clip, clip)
        self._is_discrete = isinstance(algorithm.action_space, spaces.Discrete)
        ranks = {id(p): rank for rank, p in enumerate(policy.parameters())}
        mixed = [ranks[id(p)] for p in (*halves.actor, *halves.critic)]
        order = [mixed.index(rank) for rank in range(len(mixed))]
        self._order = torch.tensor(order, device=policy.device)

    def prepare(self, rollout: Rollout, size: int) -> list[_Minibatch]:
        """Cut shuffled transitions into minibatches of at most ``size``."""
        prepared = []
        for batch in minibatches(rollout, size):
            features = self._policy.extract_features(batch.observations)
            pi, vf = features if isinstance(features, tuple) else (features, features)
            clipped = () if not self._value_clip else (batch.values, *self._value_clip)
            prepared.append(
                _Minibatch(
                    (pi, batch.actions, batch.log_probs, batch.advantages, *self._clip),
                    (vf, batch.returns, *clipped),
                )
            )
        return prepared

    def lane(self, side: int, batches: Sequence[_Minibatch]) -> Lane:
        """Take one half over minibatches.

        Returns:
            The actor's statistics in each, see ``_NAMES``, or the critic's losses.
        """
        programs, results = self._algorithm.programs, []
        for batch in batches:
            inputs = batch[side]
            learn = programs.get(self._keys[side], self._gradients[side], inputs, [self._policy])
            result, norms, *gradients = learn(*inputs)
            results.append(result)
            stops = side == _ACTOR and self.has_moved_far(result)
            others, other_stops = yield norms, stops
            if stops or other_stops:
                break
            self._clip_to_norm(gradients, *((others, norms) if side else (norms, others)))
            self._steps[side].step(gradients)
        return results

    def has_moved_far(self, numbers: Tensor) -> bool:
        """Return whether the policy has moved so far that the update ends."""
        limit = self._algorithm.target_kl
        return limit is not None and bool(numbers[_KL] > 1.5 * limit)

    def _clip_to_norm(self, gradients: list[Tensor], actor: Tensor, critic: Tensor) -> None:
        # In the order of SB3's parameters, so that the sum rounds as there.
        norms = torch.cat([actor, critic])[self._order]
        clip(gradients, norms, self._algorithm.max_grad_norm)

    def _tensors(self, *numbers: float) -> tuple[Tensor, ...]:
        return tuple(torch.tensor(number, device=self._policy.device) for number in numbers)

    def _actor_gradients(self, *inputs: Tensor) -> list[Tensor]:
        features, actions, old_log_probs, advantages, low, high, limit = inputs
        policy, weight = self._policy, self._algorithm.ent_coef
        latent = policy.mlp_extractor.forward_actor(features)
        distribution = policy._get_action_dist_from_latent(latent)
        log_prob = distribution.log_prob(actions.long().flatten() if self._is_discrete else actions)
        log_ratio = log_prob - old_log_probs
        ratio = log_ratio.exp()
        if self._algorithm.normalize_advantage and len(advantages) > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        clipped = torch.clamp(ratio, low, high)
        policy_loss = -torch.min(advantages * ratio, advantages * clipped).mean()
        with torch.set_grad_enabled(weight != 0):
            entropy = distribution.entropy()
            mean = -log_prob if entropy is None else entropy
            entropy_loss = -mean.mean()
        loss = policy_loss + weight * entropy_loss if weight else policy_loss
        gradients = torch.autograd.grad(loss, self._halves.actor)
        with torch.no_grad():
            divergence = ((ratio - 1) - log_ratio).mean()
            clipped_share = ((ratio - 1).abs() > limit).float().mean()
            numbers = torch.stack([policy_loss, entropy_loss, divergence, clipped_share])
        return [numbers, gradient_norms(gradients), *gradients]

    def _critic_gradients(self, *inputs: Tensor) -> list[Tensor]:
        features, returns, *clipped = inputs
        policy = self._policy
        values = policy.value_net(policy.mlp_extractor.forward_critic(features)).flatten()
        if clipped:
            old_values, low, high = clipped
            values = old_values + torch.clamp(values - old_values, low, high)
        loss = nn.functional.mse_loss(returns, values)
        gradients = torch.autograd.grad(self._algorithm.vf_coef * loss, self._halves.critic)
        return [loss.detach(), gradient_norms(gradients), *gradients]


class _Minibatch(NamedTuple):
    """What each half learns from."""

    actor: tuple[Tensor, ...]
    critic: tuple[Tensor, ...]


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
