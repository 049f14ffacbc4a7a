"""TD3 with a short update: the critics learn side by side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Hashable
from functools import cached_property
from itertools import repeat
from typing import Any

import stable_baselines3
import torch
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.td3.policies import Actor
from torch import Tensor

from roboyard.agents.fast.critics import (
    Aim,
    Critics,
    WholeCritics,
    can_learn,
    features_of,
    learns_features,
    lowest,
)
from roboyard.agents.fast.denormals import flushed
from roboyard.agents.fast.exploring import LeanExploration
from roboyard.agents.fast.graphs import Graphs
from roboyard.agents.fast.learners import ParallelLearner
from roboyard.agents.fast.rows import joined, rows, total
from roboyard.agents.fast.sampling import sample
from roboyard.agents.fast.steps import AdamSteps, follow

Lane = Generator[Any, Any, Tensor | None]
"""One side of a gradient step; gives and gets what the two sides find."""


class TD3(ParallelLearner, LeanExploration, stable_baselines3.TD3):
    """SB3's TD3; the update takes less than half the time and differs by rounding only.

    The two critics are independent, so on two cores each learns on its own; the actor learns from
    half of the batch on each. Its loss is not taken back to the critic's weights, and losses are
    read once per call.
    """

    @cached_property
    def _is_covered(self) -> bool:
        # Networks that only compute do so in training mode as well, so that is not set either.
        # As a whole in graphs only: on a CPU there is nothing to gain.
        whole = self.learns_in_graphs and not self.policy.share_features_extractor
        known = type(self.actor).forward is Actor.forward
        return known and can_learn(self.critic, self.actor, whole)

    @cached_property
    def _update(self) -> _Update:
        whole = learns_features(self.actor, self.critic)
        return _WholeUpdate(self) if whole else _LaneUpdate(self)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_is_covered", "_update"]

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Make gradient steps; see SB3's TD3."""
        if not self._is_covered:
            super().train(gradient_steps, batch_size)
            return
        self._update_learning_rate([self.actor.optimizer, self.critic.optimizer])
        assert self.replay_buffer is not None
        critic_losses, actor_losses = [], []
        self._update.begin()
        with flushed():
            for _ in range(gradient_steps):
                self._n_updates += 1
                batch = sample(self.replay_buffer, batch_size, self._vec_normalize_env)
                acts = self._n_updates % self.policy_delay == 0
                critic_loss, actor_loss = self._update.step(batch, acts)
                critic_losses.append(critic_loss)
                if actor_loss is not None:
                    actor_losses.append(actor_loss)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, losses in (("actor_loss", actor_losses), ("critic_loss", critic_losses)):
            if losses:
                self.logger.record(f"train/{name}", torch.stack(losses).double().mean().item())


class _Update(ABC):
    """What the gradient steps of an algorithm share."""

    def __init__(self, algorithm: TD3, critics: Critics | WholeCritics) -> None:
        self._algorithm = algorithm
        self._graphs = Graphs()
        self._refresh_critics = critics.refresh
        self._parameters = list(algorithm.actor.parameters())
        self._followers = list(algorithm.actor_target.parameters())

    @cached_property
    def _actor_steps(self) -> AdamSteps:
        # Not sooner: an actor that never stepped has no memory.
        return AdamSteps(self._algorithm.actor.optimizer, self._parameters)

    def begin(self) -> None:
        """Read what may have changed since the last call of ``train``."""
        places = self._refresh_critics()
        if "_actor_steps" in vars(self):
            places.append(self._actor_steps.refresh())
        constants = (self._algorithm.gamma, self._algorithm.tau)
        self._key = None if None in places else (*constants, *places)

    def step(self, batch: ReplayBufferSamples, acts: bool) -> tuple[Tensor, Tensor | None]:
        """Make one gradient step; return the losses of critics and actor, if it learns."""
        algorithm = self._algorithm
        with torch.no_grad():
            noise = torch.empty_like(batch.actions).normal_(0, algorithm.target_policy_noise)
            limit = algorithm.target_noise_clip
            noise = noise.clamp(-limit, limit)

        def work(batch: ReplayBufferSamples, noise: Tensor) -> list[Tensor]:
            self._batch = batch
            return self._step(acts, noise)

        key = None if self._key is None else (acts, self._key)
        critic_loss, *actor_loss = self._graphs.run_on_batch(key, work, batch, [noise])
        return critic_loss, actor_loss[0] if acts else None

    @abstractmethod
    def _step(self, acts: bool, noise: Tensor) -> list[Tensor]:
        """Make a step with ``_batch``; return the losses of critics and, if it learns, actor."""

    def _aim(self, values: list[Tensor]) -> Aim:
        batch, gamma, count = self._batch, self._algorithm.gamma, len(values)

        def function(rewards: Tensor, dones: Tensor, *values_and_discounts: Tensor) -> Tensor:
            discounts = values_and_discounts[count:]
            discount = discounts[0] if discounts else gamma
            return rewards + (1 - dones) * discount * lowest(values_and_discounts[:count])

        discounts = () if batch.discounts is None else (batch.discounts,)
        return Aim((gamma, count), function, (batch.rewards, batch.dones, *values, *discounts))

    def _step_actor(self, slopes: list[Tensor]) -> None:
        """Step the actor, and move its target."""
        self._actor_steps.step(slopes)
        follow(self._parameters, self._followers, self._algorithm.tau)


class _LaneUpdate(_Update):
    """Gradient steps in lanes, of networks that see vectors as they are."""

    def __init__(self, algorithm: TD3) -> None:
        self._critics = Critics(algorithm.critic, algorithm.critic_target, algorithm.programs)
        super().__init__(algorithm, self._critics)

    def _step(self, acts: bool, noise: Tensor) -> list[Tensor]:
        algorithm, batch = self._algorithm, self._batch
        algorithm.lanes.wake()
        self._acts, self._noise = acts, noise
        with torch.no_grad():
            self._features = [
                features_of(model, observations)
                for model, observations in (
                    (algorithm.actor, batch.observations),
                    (algorithm.actor_target, batch.next_observations),
                    (algorithm.critic, batch.observations),
                    (algorithm.critic, batch.next_observations),
                )
            ]
        actor_loss, critic_loss = algorithm.lanes.meet(self._lane(0), self._lane(1))
        assert critic_loss is not None
        return [critic_loss] if actor_loss is None else [critic_loss, actor_loss]

    def _lane(self, side: int) -> Lane:
        """Do a side's part; return the actor's loss (side 0), or that of the critics."""
        critics, (seen, next_seen, judged, next_judged) = self._critics, self._features
        mine = self._values(side, next_seen, next_judged)
        values = list(map(joined, repeat(side), mine, (yield mine)))
        losses = critics.learn(side, (judged, self._batch.actions), self._aim(values), 1.0)
        more = yield losses
        critic_loss = torch.stack(more + losses).sum() if side else None
        if not self._acts:
            return critic_loss
        # Reads the first critic, which does not change any more.
        mine = self._actor_slopes(side, seen, judged)
        other = yield mine
        if side:
            critics.follow(self._algorithm.tau)
            return critic_loss
        loss, *slopes = total(mine, other)
        self._step_actor(slopes)
        return loss

    def _values(self, side: int, seen: Tensor, judged: Tensor) -> list[Tensor]:
        """Return what the critics' targets say of the target's noisy actions, for a side's rows."""
        target, critics = self._algorithm.actor_target, self._critics

        def values(seen: Tensor, judged: Tensor, noise: Tensor) -> list[Tensor]:
            actions = (target.mu(seen) + noise).clamp(-1, 1)
            return critics.values_of_targets(judged, actions)

        inputs = [rows(part, side) for part in (seen, judged, self._noise)]
        return self._run("aim", values, inputs, target, *critics.targets)

    def _actor_slopes(self, side: int, seen: Tensor, judged: Tensor) -> list[Tensor]:
        """Return a side's part of the actor's loss, and of its gradients."""
        actor, size = self._algorithm.actor, len(seen)
        first = self._algorithm.critic.q_networks[0]

        def slopes(seen: Tensor, judged: Tensor) -> list[Tensor]:
            loss = -first(torch.cat([judged, actor.mu(seen)], dim=1)).sum() / size
            return [loss.detach(), *torch.autograd.grad(loss, self._parameters)]

        inputs = [rows(seen, side), rows(judged, side)]
        return self._run(("improve", size), slopes, inputs, actor, first)

    def _run(
        self,
        key: Hashable,
        function: Callable[..., list[Tensor]],
        inputs: list[Tensor],
        *networks: torch.nn.Module,
    ) -> list[Tensor]:
        whole = (key, *map(id, networks))
        return self._algorithm.programs.get(whole, function, inputs, networks)(*inputs)


class _WholeUpdate(_Update):
    """Gradient steps of networks that learn the features they see, such as convolutions."""

    def __init__(self, algorithm: TD3) -> None:
        self._critics = WholeCritics(algorithm.critic, algorithm.critic_target)
        super().__init__(algorithm, self._critics)

    def _step(self, acts: bool, noise: Tensor) -> list[Tensor]:
        algorithm, critics, batch = self._algorithm, self._critics, self._batch
        seen, next_seen = batch.observations, batch.next_observations
        with torch.no_grad():
            following = (algorithm.actor_target(next_seen) + noise).clamp(-1, 1)
            aim = self._aim(list(algorithm.critic_target(next_seen, following)))
        critic_loss = critics.learn(seen, batch.actions, aim, 1.0)
        if not acts:
            return [critic_loss]
        loss = -algorithm.critic.q1_forward(seen, algorithm.actor(seen)).mean()
        self._step_actor(list(torch.autograd.grad(loss, self._parameters)))
        critics.follow(algorithm.tau)
        return [critic_loss, loss.detach()]
