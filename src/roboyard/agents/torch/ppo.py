"""PPO with a short update: the rollout becomes tensors once, statistics are read once."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import TensorDict
from stable_baselines3.common.utils import explained_variance
from torch import Tensor, nn

from roboyard.agents.torch.cuda_graphs import Graphs
from roboyard.agents.torch.distributions import action_distribution
from roboyard.agents.torch.modules import is_as_in, is_pure, steps_with_adam
from roboyard.agents.torch.optimizer import CapturableAdams, descend
from roboyard.agents.torch.peers import mean_over, taken
from roboyard.agents.torch.rollouts import OverlappedRollouts
from roboyard.agents.torch.threads import OwnThreads, torch_threads

NAMES = ("policy_gradient_loss", "entropy_loss", "approx_kl", "clip_fraction", "value_loss", "loss")
"""Statistics of a minibatch."""
KL = NAMES.index("approx_kl")


class Rollout(NamedTuple):
    """Transitions as tensors, the first axis of each being the transition."""

    observations: Tensor | TensorDict
    actions: Tensor
    values: Tensor
    log_probs: Tensor
    advantages: Tensor
    returns: Tensor

    def take(self, rows: Tensor) -> Rollout:
        """Return some of the transitions."""
        observations = self.observations
        if isinstance(observations, dict):
            chosen: Tensor | TensorDict = {key: part[rows] for key, part in observations.items()}
        else:
            chosen = observations[rows]
        return Rollout(chosen, *(part[rows] for part in self[1:]))


class ClipRanges(NamedTuple):
    """How far an update may go, as tensors, so that a schedule needs no new graph."""

    lowest: Tensor
    """Probability ratio."""
    highest: Tensor
    """Probability ratio."""
    ratio: Tensor
    """Largest change of the probability ratio."""
    value: Tensor
    """Largest change of the value; not read without ``clip_range_vf``."""


class PPO(OwnThreads, OverlappedRollouts, stable_baselines3.PPO):
    """SB3's PPO with the same bits in less time; on an accelerator a minibatch is one graph."""

    @property
    def can_share(self) -> bool:
        """Whether the update is this class's own."""
        return _is_covered(self.policy)

    def train(self) -> None:
        """Learn from the rollout; see SB3's PPO."""
        if not _is_covered(self.policy):
            with torch_threads(self.threads):
                super().train()
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        self._clip = self._ranges()
        with torch_threads(self.threads), self._adam.on_device() as places:
            # Whether to stop depends on a value, which no graph can ask for.
            key = (self.ent_coef, self.vf_coef, self.max_grad_norm, self.normalize_advantage)
            self._graphs.keep_if((key, places))
            is_plain = self.target_kl is None and self.peers is None
            self._key = key if places is not None and is_plain else None
            epochs = self._epochs()
        self._n_updates += len(epochs)
        self._log(epochs)

    @cached_property
    def _graphs(self) -> Graphs:
        return Graphs()

    @cached_property
    def _adam(self) -> CapturableAdams:
        return CapturableAdams([self.policy.optimizer])

    def _maybe_recommend_cpu(self, mlp_class_name: str = "ActorCriticPolicy") -> None:
        """Say nothing: SB3's update is slow on an accelerator, a graph is not."""

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_graphs", "_adam", "_clip", "_key"]

    def _epochs(self) -> list[Tensor]:
        """Make the epochs' passes; return each epoch's statistics, a row per minibatch."""
        buffer = self.rollout_buffer
        epochs: list[Tensor] = []
        rollout = self._tensors()
        for _ in range(self.n_epochs):
            order = np.random.permutation(buffer.buffer_size * buffer.n_envs)
            rows, stops = [], False
            for chosen in torch.split(torch.from_numpy(order).to(self.device), self.batch_size):
                batch = rollout.take(chosen)
                rows.append(self._graphs.run_on_batch(self._key, self._learn, batch, self._clip)[0])
                stops = self._has_moved_far(rows[-1])
                if stops:
                    break
            table = torch.stack(rows)
            if self.target_kl is None:  # else they have been read at each minibatch
                table = mean_over(self.peers, table, self.batch_size)
            epochs.append(table)
            if stops:
                break
        return epochs

    def _learn(self, batch: Rollout, *ranges: Tensor) -> list[Tensor]:
        """Make the step of a minibatch; return its statistics, see ``NAMES``."""
        lowest, highest, clip, value_clip = ranges
        count = len(batch.advantages)
        advantages = batch.advantages
        if self.normalize_advantage and count > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
            batch = batch._replace(advantages=advantages)
        if self.peers is not None:
            batch = taken(batch, self.peers.rows(count))
            advantages = batch.advantages
        is_discrete = isinstance(self.action_space, spaces.Discrete)
        actions = batch.actions.long().flatten() if is_discrete else batch.actions
        values, log_probs, entropy = self._evaluate(batch.observations, actions)
        log_ratio = log_probs - batch.log_probs
        ratio = log_ratio.exp()
        clipped = advantages * torch.clamp(ratio, lowest, highest)
        policy_loss = -torch.min(advantages * ratio, clipped).mean()
        if self.clip_range_vf is not None:
            change = torch.clamp(values - batch.values, -value_clip, value_clip)
            values = batch.values + change
        value_loss = nn.functional.mse_loss(batch.returns, values)
        entropy_loss = -entropy.mean()
        loss = policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss
        with torch.no_grad():
            divergence = ((ratio - 1) - log_ratio).mean()
            share = ((ratio - 1).abs() > clip).float().mean()
            parts = (policy_loss, entropy_loss, divergence, share, value_loss, loss)
            numbers = torch.stack(parts)
            if self.target_kl is not None:
                numbers = mean_over(self.peers, numbers, count)
        if not self._has_moved_far(numbers):
            sharing = None if self.peers is None else (self.peers, count)
            descend(self.policy.optimizer, loss, self.max_grad_norm, sharing)
        return [numbers]

    def _evaluate(
        self, observations: Tensor | TensorDict, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return values, log-probabilities and entropies, shape (batch,); see SB3."""
        policy = self.policy
        features = policy.extract_features(observations)
        pi, vf = features if isinstance(features, tuple) else (features, features)
        latent = policy.mlp_extractor.forward_actor(pi)
        values = policy.value_net(policy.mlp_extractor.forward_critic(vf)).flatten()
        distribution = action_distribution(policy, policy.action_net(latent), latent)
        log_probs = distribution.log_prob(actions)
        with torch.set_grad_enabled(self.ent_coef != 0):
            entropy = distribution.entropy()
        return values, log_probs, -log_probs if entropy is None else entropy

    def _has_moved_far(self, numbers: Tensor) -> bool:
        limit = self.target_kl
        return limit is not None and bool(numbers[KL] > 1.5 * limit)

    def _ranges(self) -> ClipRanges:
        progress = self._current_progress_remaining
        clip = self.clip_range(progress)  # type: ignore[operator]
        values = self.clip_range_vf
        limits = (1 - clip, 1 + clip, clip, values(progress) if callable(values) else 0.0)
        return ClipRanges(*(torch.tensor(limit, device=self.device) for limit in limits))

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
        table = torch.cat(epochs).double().cpu().numpy()
        last = table[-len(epochs[-1]) :]
        for column, name in enumerate(NAMES[:-1]):
            # SB3 reports the divergence of the last epoch, and means over all for the others.
            counted = last if column == KL else table
            self.logger.record(f"train/{name}", counted[:, column].mean())
        self.logger.record("train/loss", table[-1, -1].item())
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


def _is_covered(policy: ActorCriticPolicy) -> bool:
    """Return whether a policy judges as SB3's do, only computes, and steps with Adam."""
    methods = ("evaluate_actions", "extract_features", "_get_action_dist_from_latent")
    kept = is_as_in(ActorCriticPolicy, policy, *methods)
    return kept and is_pure(policy) and steps_with_adam(policy)
