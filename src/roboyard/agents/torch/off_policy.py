"""What the updates of SAC and TD3 share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import torch
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch import Tensor, nn

from roboyard.agents.torch.cuda_graphs import Graphs
from roboyard.agents.torch.exploring import LeanExploration
from roboyard.agents.torch.modules import is_as_in, is_pure, steps_with_adam
from roboyard.agents.torch.optimizer import CapturableAdams
from roboyard.agents.torch.peers import Peers, mean_over, taken
from roboyard.agents.torch.sampling import sample
from roboyard.agents.torch.threads import OwnThreads

T = TypeVar("T")


class ActorAndCritics(OwnThreads, LeanExploration):
    """An off-policy algorithm that makes gradient steps by itself, on an accelerator as graphs."""

    actor: Any
    critic: Any
    gamma: float
    tau: float
    _share: tuple[Peers, int] | None = None
    """Who shares the minibatch that is being learnt from, and how many rows it has."""

    @property
    def can_share(self) -> bool:
        """Whether the update is this class's own."""
        return self._is_covered()

    @cached_property
    def _graphs(self) -> Graphs:
        return Graphs()

    @cached_property
    def _adams(self) -> CapturableAdams:
        return CapturableAdams(self._optimizers())

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_graphs", "_adams", "_share"]

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        """Return all optimisers."""
        return [self.actor.optimizer, self.critic.optimizer]

    def _is_covered(self) -> bool:
        """Return whether the critics judge as SB3's do, networks only compute, and Adam steps.

        Networks that only compute do so in training mode as well, so that is not set either.
        """
        models = (self.actor, self.critic)
        return is_as_in(ContinuousCritic, self.critic, "forward") and all(
            is_pure(model) and steps_with_adam(model) for model in models
        )

    def _gradient_steps(
        self, count: int, batch_size: int, step: Callable[[ReplayBufferSamples], list[Tensor]]
    ) -> list[list[Tensor]]:
        """Make steps with minibatches; return what each of them returns."""
        assert self.replay_buffer is not None
        results = []
        for _ in range(count):
            batch = sample(self.replay_buffer, batch_size, self._vec_normalize_env)
            results.append(step(batch))
            self._n_updates += 1
        return results

    def _own_rows(self, value: T, count: int) -> T:
        """Return the part of a minibatch of ``count`` rows that this process learns from."""
        if self.peers is None:
            return value
        self._share = (self.peers, count)
        return taken(value, self.peers.rows(count))

    def _mean_over_peers(self, numbers: Tensor, batch_size: int) -> Tensor:
        return mean_over(self.peers, numbers, batch_size)

    def _target(self, batch: ReplayBufferSamples, values: Tensor) -> Tensor:
        """Return what the critics should say, from the values of what follows."""
        discounts = batch.discounts if batch.discounts is not None else self.gamma
        target: Tensor = batch.rewards + (1 - batch.dones) * discounts * values
        return target

    def _critic_loss(self, batch: ReplayBufferSamples, target: Tensor) -> Tensor:
        """Return the sum of the critics' mean squared errors."""
        values = self.critic(batch.observations, batch.actions)
        return sum(nn.functional.mse_loss(value, target) for value in values)  # type: ignore[return-value]


def lowest(values: Sequence[Tensor]) -> Tensor:
    """Return the lowest of several values of each transition, shape (batch, 1)."""
    return torch.cat(list(values), dim=1).min(dim=1, keepdim=True)[0]
