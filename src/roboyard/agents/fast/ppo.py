"""PPO with a short update: actor and critic learn side by side."""

from __future__ import annotations

import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.type_aliases import TensorDict
from stable_baselines3.common.utils import explained_variance
from torch import Tensor

from roboyard.agents.fast.denormals import flushed
from roboyard.agents.fast.learners import ParallelLearner
from roboyard.agents.fast.ppo_update import (
    KL,
    NAMES,
    Halves,
    Rollout,
    Update,
    WholeUpdate,
    split,
    whole,
)
from roboyard.agents.fast.rollouts import OverlappedRollouts
from roboyard.agents.fast.steps import (
    steps_like_adam,
    unchecked_distributions,
)


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
        if halves is None and self.learns_in_graphs and self.target_kl is None:
            halves = whole(self.policy)
        if halves is None or not steps_like_adam(self.policy.optimizer):
            super().train()
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        with flushed(), unchecked_distributions():
            statistics = self._learn(self._update_of(halves))
        self._n_updates += len(statistics)
        self._log(statistics)

    def _maybe_recommend_cpu(self, mlp_class_name: str = "ActorCriticPolicy") -> None:
        """Say nothing: SB3's update is slow on an accelerator, a graph is not."""

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_update"]

    def _update_of(self, halves: Halves) -> Update:
        """Return what the updates of these halves share."""
        known: Update | None = vars(self).get("_update")
        if known is None or not known.is_of(halves):
            known = self._update = (Update if halves.critic else WholeUpdate)(self, halves)
        known.begin()
        return known

    def _learn(self, update: Update) -> list[Tensor]:
        """Make the epochs' passes; return each epoch's statistics, a row per minibatch."""
        rollout: Rollout | None = None
        epochs: list[Tensor] = []
        for _ in range(self.n_epochs):
            order = self._shuffled()
            rollout = self._tensors() if rollout is None else rollout
            batches = update.prepare(rollout.take(order), self.batch_size)
            epochs.append(update.learn(batches))
            if update.has_moved_far(epochs[-1][-1]):
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
        for column, name in enumerate(NAMES):
            # SB3 reports the divergence of the last epoch, and means over all for the others.
            counted = last if column == KL else table
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
