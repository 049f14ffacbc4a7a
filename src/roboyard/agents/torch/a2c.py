"""A2C with the same rollouts in less time."""

from __future__ import annotations

import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from stable_baselines3.common.utils import explained_variance
from torch import nn

from roboyard.agents.torch.modules import is_pure
from roboyard.agents.torch.optimizer import descend
from roboyard.agents.torch.peers import Peers, mean_over, taken
from roboyard.agents.torch.rollouts import OverlappedRollouts
from roboyard.agents.torch.threads import OwnThreads, torch_threads

_NAMES = ("entropy_loss", "policy_loss", "value_loss")


class A2C(OwnThreads, OverlappedRollouts, stable_baselines3.A2C):
    """SB3's A2C; only the rollouts are faster, and updates can be shared among processes."""

    @property
    def can_share(self) -> bool:
        """Whether the networks do nothing but compute."""
        return is_pure(self.policy)

    def train(self) -> None:
        """Learn from the rollout; see SB3."""
        with torch_threads(self.threads):
            if self.peers is None:
                super().train()
            else:
                self._train_with(self.peers)

    def _train_with(self, peers: Peers) -> None:
        """Make the step that SB3's ``train`` makes, each process with rows of its own."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        (batch,) = self.rollout_buffer.get(batch_size=None)
        count = len(batch.advantages)
        if self.normalize_advantage:
            spread = batch.advantages.std() + 1e-8
            normalized = (batch.advantages - batch.advantages.mean()) / spread
            batch = batch._replace(advantages=normalized)
        losses = self._losses(taken(batch, peers.rows(count)))
        weights = losses.new_tensor([self.ent_coef, 1.0, self.vf_coef])
        descend(self.policy.optimizer, (weights * losses).sum(), self.max_grad_norm, (peers, count))
        self._n_updates += 1
        self._record(mean_over(peers, losses.detach(), count))

    def _losses(self, batch: RolloutBufferSamples) -> torch.Tensor:
        """Return the losses in the order of ``_NAMES``."""
        is_discrete = isinstance(self.action_space, spaces.Discrete)
        actions = batch.actions.long().flatten() if is_discrete else batch.actions
        values, log_prob, entropy = self.policy.evaluate_actions(batch.observations, actions)
        entropy_loss = log_prob.mean() if entropy is None else -entropy.mean()
        policy_loss = -(batch.advantages * log_prob).mean()
        value_loss = nn.functional.mse_loss(batch.returns, values.flatten())
        return torch.stack([entropy_loss, policy_loss, value_loss])

    def _record(self, losses: torch.Tensor) -> None:
        buffer, record = self.rollout_buffer, self.logger.record
        explained = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        record("train/explained_variance", explained)
        for name, loss in zip(_NAMES, losses.tolist(), strict=True):
            record(f"train/{name}", loss)
        if hasattr(self.policy, "log_std"):
            record("train/std", torch.exp(self.policy.log_std).mean().item())
