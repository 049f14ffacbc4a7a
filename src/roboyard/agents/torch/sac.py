"""SAC with a short update: losses are read once, gradients are computed where they are used."""

from __future__ import annotations

from typing import Any

import stable_baselines3
import torch
from stable_baselines3.common.distributions import (
    SquashedDiagGaussianDistribution,
    StateDependentNoiseDistribution,
)
from stable_baselines3.common.type_aliases import PyTorchObs, ReplayBufferSamples
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN, Actor
from torch import Tensor
from torch.distributions import Normal

from roboyard.agents.torch.distributions import gaussian, state_dependent
from roboyard.agents.torch.modules import is_as_in
from roboyard.agents.torch.off_policy import ActorAndCritics, lowest
from roboyard.agents.torch.optimizer import descend, follow
from roboyard.agents.torch.targets import TargetInterval
from roboyard.agents.torch.threads import torch_threads

_NAMES = ("ent_coef", "critic_loss", "actor_loss", "ent_coef_loss")
_METHODS = ("forward", "action_log_prob", "get_action_dist_params")
_DISTRIBUTIONS = (SquashedDiagGaussianDistribution, StateDependentNoiseDistribution)


class SAC(ActorAndCritics, TargetInterval, stable_baselines3.SAC):
    """SB3's SAC with the same bits in less time; on an accelerator a step is one graph.

    ``target_update_interval`` counts gradient steps of the run.
    """

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Make gradient steps; see SB3's SAC."""
        with torch_threads(self.threads):
            if not self._is_covered():
                super().train(gradient_steps, batch_size)
                return
            self._update_learning_rate(self._optimizers())
            with self._adams.on_device() as places:
                constants = (self.gamma, self.tau, self.target_entropy)
                self._graphs.keep_if((constants, places))
                numbers = self._gradient_steps(gradient_steps, batch_size, self._step)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        table = self._mean_over_peers(torch.stack([row[0] for row in numbers]), batch_size)
        means = table.double().mean(dim=0).tolist()
        names = _NAMES if self.ent_coef_optimizer is not None else _NAMES[:-1]
        for name, mean in zip(names, means, strict=False):
            self.logger.record(f"train/{name}", mean)

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        own = self.ent_coef_optimizer
        return [*super()._optimizers(), *([] if own is None else [own])]

    def _is_covered(self) -> bool:
        known = type(self.actor.action_dist) in _DISTRIBUTIONS
        return known and is_as_in(Actor, self.actor, *_METHODS) and super()._is_covered()

    def _step(self, batch: ReplayBufferSamples) -> list[Tensor]:
        """Make one gradient step; return its numbers, in the order of ``_NAMES``."""
        due = self.targets_are_due

        def learn(batch: ReplayBufferSamples, *noise: Tensor) -> list[Tensor]:
            numbers = self._learn(batch, *noise)
            if due:
                follow(self.critic.parameters(), self.critic_target.parameters(), self.tau)
            return numbers

        count, noise = len(batch.actions), self._draw(batch.actions)
        if not isinstance(self.actor.action_dist, StateDependentNoiseDistribution):
            noise = self._own_rows(noise, count)
        return self._graphs.run_on_batch(due, learn, self._own_rows(batch, count), noise)

    def _learn(self, batch: ReplayBufferSamples, noise: Tensor, next_noise: Tensor) -> list[Tensor]:
        seen, following = batch.observations, batch.next_observations
        actions, log_prob = self._act(seen, noise)
        weight, weight_loss = self._entropy_weight(log_prob.detach())
        with torch.no_grad():
            next_actions, next_log_prob = self._act(following, next_noise)
            values = lowest(self.critic_target(following, next_actions))
            target = self._target(batch, values - weight * next_log_prob)
        critic_loss = 0.5 * self._critic_loss(batch, target)
        descend(self.critic.optimizer, critic_loss, share=self._share)
        loss = (weight * log_prob - lowest(self.critic(seen, actions))).mean()
        descend(self.actor.optimizer, loss, share=self._share)
        numbers = (weight, critic_loss, loss, weight_loss)
        return [torch.cat([number.detach().reshape(1) for number in numbers])]

    def _entropy_weight(self, log_prob: Tensor) -> tuple[Tensor, Tensor]:
        """Return the entropy's weight; if it is learnt, make its step after it was read.

        Returns:
            The weight, and its loss or zero.
        """
        logarithm = self.log_ent_coef
        if self.ent_coef_optimizer is None or logarithm is None:
            return self.ent_coef_tensor, torch.zeros_like(self.ent_coef_tensor)
        weight = torch.exp(logarithm.detach())
        loss = -(logarithm * (log_prob + self.target_entropy)).mean()  # type: ignore[operator]
        descend(self.ent_coef_optimizer, loss, share=self._share)
        return weight, loss

    def _act(self, observations: PyTorchObs, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return actions and their log-probabilities, shapes (batch, actions) and (batch, 1)."""
        actor: Any = self.actor
        latent = actor.latent_pi(actor.extract_features(observations, actor.features_extractor))
        means, kind = actor.mu(latent), actor.action_dist
        if isinstance(kind, StateDependentNoiseDistribution):
            distribution: Any = state_dependent(kind, means, actor.log_std, latent)
            std = kind.get_std(actor.log_std)
            distribution.exploration_mat = torch.zeros_like(std) + noise * std
            actions = distribution.sample()
            log_prob = distribution.log_prob(actions)
        else:
            log_std = torch.clamp(actor.log_std(latent), LOG_STD_MIN, LOG_STD_MAX)
            std = torch.ones_like(means) * log_std.exp()
            raw = means + noise * std
            actions = torch.tanh(raw)
            log_prob = gaussian(kind, means, std).log_prob(actions, raw)
        return actions, log_prob.reshape(-1, 1)

    def _draw(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Draw the noise of a batch's actions, and of the next ones, as SB3 would."""
        kind: Any = self.actor.action_dist
        if not isinstance(kind, StateDependentNoiseDistribution):
            return torch.randn_like(actions), torch.randn_like(actions)
        with torch.no_grad():
            std = kind.get_std(self.actor.log_std)
            noise = torch.randn_like(std)
            # What the rollout explores with next.
            kind.weights_dist = Normal(torch.zeros_like(std), std)
            kind.exploration_mat = noise * std
            kind.exploration_matrices = torch.randn(1, *std.shape, device=std.device) * std
        return noise, noise
