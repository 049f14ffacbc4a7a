"""SAC with a short update: the critics learn side by side."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from functools import cached_property
from itertools import repeat
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
from torch.distributions import normal

from roboyard.agents.fast.critics import (
    Aim,
    Critics,
    Judgement,
    WholeCritics,
    can_learn,
    features_of,
    learns_features,
    lowest,
    slope_of_lowest,
)
from roboyard.agents.fast.denormals import flushed
from roboyard.agents.fast.exploring import LeanExploration
from roboyard.agents.fast.graphs import Graphs
from roboyard.agents.fast.learners import ParallelLearner
from roboyard.agents.fast.passes import Passes
from roboyard.agents.fast.rows import joined, rows, total
from roboyard.agents.fast.sampling import sample
from roboyard.agents.fast.steps import AdamSteps, steps_like_adam, unchecked_distributions

_NAMES = ("ent_coef", "critic_loss", "actor_loss", "ent_coef_loss")

Lane = Generator[Any, Any, Tensor]
"""One side of a gradient step; gives and gets what the two sides find."""


class SAC(ParallelLearner, LeanExploration, stable_baselines3.SAC):
    """SB3's SAC; the update takes less than half the time and differs by rounding only.

    The two critics are independent, so on two cores each learns on its own; the actor acts on and
    learns from half of the batch on each. Its loss is not taken back to the critics' weights, its
    actions for the observations are computed once, and losses are read once per call.
    """

    @cached_property
    def _is_covered(self) -> bool:
        # Networks that only compute do so in training mode as well, so that is not set either.
        # As a whole in graphs only: on a CPU there is nothing to gain.
        whole = self.learns_in_graphs and not self.policy.share_features_extractor
        return _is_known(self.actor) and can_learn(self.critic, self.actor, whole)

    @cached_property
    def _update(self) -> _Update:
        whole = learns_features(self.actor, self.critic)
        return _WholeUpdate(self) if whole else _LaneUpdate(self)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_is_covered", "_update"]

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Make gradient steps; see SB3's SAC."""
        if not self._is_covered:
            super().train(gradient_steps, batch_size)
            return
        optimizers = [self.actor.optimizer, self.critic.optimizer]
        if self.ent_coef_optimizer is not None:
            optimizers.append(self.ent_coef_optimizer)
        self._update_learning_rate(optimizers)
        self._update.begin()
        with flushed(), unchecked_distributions():
            numbers = list(self._steps(gradient_steps, batch_size))
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        means = torch.stack(numbers).double().mean(dim=0).tolist()
        names = _NAMES if self.ent_coef_optimizer is not None else _NAMES[:-1]
        for name, mean in zip(names, means, strict=False):
            self.logger.record(f"train/{name}", mean)

    def _steps(self, count: int, batch_size: int) -> Iterator[Tensor]:
        """Make gradient steps; yield each one's numbers, in the order of ``_NAMES``."""
        assert self.replay_buffer is not None
        for number in range(count):
            batch = sample(self.replay_buffer, batch_size, self._vec_normalize_env)
            yield self._update.step(batch, number % self.target_update_interval == 0)


def _is_known(actor: Actor) -> bool:
    methods = ("forward", "action_log_prob", "get_action_dist_params")
    kept = all(getattr(type(actor), name) is getattr(Actor, name) for name in methods)
    known = (SquashedDiagGaussianDistribution, StateDependentNoiseDistribution)
    return kept and type(actor.action_dist) in known


class _Update(ABC):
    """What the gradient steps of an algorithm share."""

    def __init__(self, algorithm: SAC, critics: Critics | WholeCritics) -> None:
        self._algorithm = algorithm
        self._actor = algorithm.actor
        self._refresh_critics = critics.refresh
        self._graphs = Graphs()
        self._parameters = list(self._actor.parameters())
        self._actor_steps = AdamSteps(self._actor.optimizer, self._parameters)
        self._is_by_state = isinstance(self._actor.action_dist, StateDependentNoiseDistribution)
        optimizer, logarithm = algorithm.ent_coef_optimizer, algorithm.log_ent_coef
        self._temperature_steps: AdamSteps | None = None
        if optimizer is not None and logarithm is not None:
            assert steps_like_adam(optimizer)
            self._temperature_steps = AdamSteps(optimizer, [logarithm])

    def begin(self) -> None:
        """Read what may have changed since the last call of ``train``."""
        steps = [self._actor_steps]
        if self._temperature_steps is not None:
            steps.append(self._temperature_steps)
        places = [*self._refresh_critics(), *(part.refresh() for part in steps)]
        algorithm = self._algorithm
        constants = (algorithm.gamma, algorithm.tau, algorithm.target_entropy)
        self._key = None if None in places else (*constants, *places)
        if self._is_by_state:
            # What a rollout drew remembers where it came from, which no graph can do.
            noise: Any = self._actor.action_dist
            drawn = noise.weights_dist
            noise.weights_dist = normal.Normal(drawn.loc, drawn.scale.detach())

    def step(self, batch: ReplayBufferSamples, targets_follow: bool) -> Tensor:
        """Make one gradient step; return its numbers, in the order of ``_NAMES``."""
        noise = self._draw(batch.actions)

        def work(batch: ReplayBufferSamples, *noise: Tensor) -> list[Tensor]:
            self._batch, self._temperature = batch, self._read_temperature()
            return [self._step(targets_follow, *noise)]

        key = None if self._key is None else (targets_follow, self._key)
        return self._graphs.run_on_batch(key, work, batch, noise)[0]

    @abstractmethod
    def _step(self, targets_follow: bool, *noise: Tensor) -> Tensor:
        """Make a step with ``_batch`` and ``_temperature``; return its numbers."""

    def _sample(self, features: Tensor, noise: Tensor) -> list[Tensor]:
        """Return actions and their log-likelihoods, shapes (batch, actions) and (batch, 1)."""
        actor: Any = self._actor
        distribution = copy.copy(actor.action_dist)  # both lanes use it
        latent = actor.latent_pi(features)
        mean = actor.mu(latent)
        if self._is_by_state:
            std = distribution.get_std(actor.log_std)
            distribution.exploration_mat = torch.zeros_like(std) + noise * std
            actions, log_prob = distribution.log_prob_from_params(mean, actor.log_std, latent)
        else:
            log_std = torch.clamp(actor.log_std(latent), LOG_STD_MIN, LOG_STD_MAX)
            gaussian = distribution.proba_distribution(mean, log_std).distribution
            drawn = gaussian.loc + noise * gaussian.scale
            actions = torch.tanh(drawn)
            log_prob = distribution.log_prob(actions, drawn)
        return [actions, log_prob.reshape(-1, 1)]

    def _draw(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Draw the noise of a batch's actions, and of the next ones, as SB3 would."""
        actor = self._actor
        distribution: Any = actor.action_dist
        if not self._is_by_state:
            shape, device = actions.shape, actions.device
            return _normal(shape, device), _normal(shape, device)
        with torch.no_grad():
            std = distribution.get_std(actor.log_std)
            noise = _normal(std.shape, std.device)
            distribution.exploration_mat = noise * std
            distribution.exploration_matrices = _normal((1, *std.shape), std.device) * std
        return noise, noise.view_as(noise)  # recording tells inputs apart by identity

    def _read_temperature(self) -> Tensor:
        algorithm = self._algorithm
        if self._temperature_steps is None or algorithm.log_ent_coef is None:
            return algorithm.ent_coef_tensor
        return torch.exp(algorithm.log_ent_coef.detach()).squeeze()

    def _learn_temperature(self, log_prob: Tensor) -> Tensor:
        """Step the entropy's coefficient, if it is learnt; return its loss, or zero."""
        target, logarithm = self._algorithm.target_entropy, self._algorithm.log_ent_coef
        if self._temperature_steps is None or logarithm is None:
            return torch.zeros_like(self._temperature)
        assert isinstance(target, float)

        def gradient(logarithm: Tensor, log_prob: Tensor) -> list[Tensor]:
            leaf = logarithm.detach().requires_grad_()
            loss = -(leaf * (log_prob + target).detach()).mean()
            return [loss.detach(), torch.autograd.grad(loss, leaf)[0]]

        loss, *gradients = self._run(("temperature", target), gradient, (logarithm, log_prob))
        self._temperature_steps.step(gradients)
        return loss

    def _aim(self, values: list[Tensor], next_log_prob: Tensor) -> Aim:
        batch, gamma = self._batch, self._algorithm.gamma

        def function(
            rewards: Tensor,
            dones: Tensor,
            temperature: Tensor,
            next_log_prob: Tensor,
            *values_and_discounts: Tensor,
        ) -> Tensor:
            values = values_and_discounts[:count]
            discounts = values_and_discounts[count:]
            soft = lowest(values) - temperature * next_log_prob
            return rewards + (1 - dones) * (discounts[0] if discounts else gamma) * soft

        count = len(values)
        discounts = () if batch.discounts is None else (batch.discounts,)
        given = (batch.rewards, batch.dones, self._temperature, next_log_prob, *values, *discounts)
        return Aim((gamma, count), function, given)

    def _run(
        self, key: object, function: Callable[..., list[Tensor]], inputs: tuple[Tensor, ...]
    ) -> list[Tensor]:
        whole = (key, tuple(map(id, self._parameters)))
        return self._algorithm.programs.get(whole, function, inputs, [self._actor])(*inputs)


class _LaneUpdate(_Update):
    """Gradient steps in lanes, of networks that see vectors as they are."""

    def __init__(self, algorithm: SAC) -> None:
        self._critics = Critics(algorithm.critic, algorithm.critic_target, algorithm.programs)
        super().__init__(algorithm, self._critics)

    def _step(self, targets_follow: bool, *noise: Tensor) -> Tensor:
        self._algorithm.lanes.wake()
        self._targets_follow, self._noise = targets_follow, noise
        actor, critic = self._actor, self._algorithm.critic
        observations = (self._batch.observations, self._batch.next_observations)
        with torch.no_grad():
            self._seen = [features_of(actor, part) for part in observations]
            self._judged = [features_of(critic, part) for part in observations]
        losses, temperature_loss = self._algorithm.lanes.meet(self._lane(0), self._lane(1))
        return torch.cat([self._temperature.reshape(1), losses, temperature_loss.reshape(1)])

    def _lane(self, side: int) -> Lane:
        """Do a side's part; return the losses of critic and actor, or the temperature's."""
        critics, batch = self._critics, self._batch
        passes, given = self._passes(side)
        mine, left = passes.forward(*given)
        other = yield mine
        actions, log_prob, next_log_prob, *values = map(joined, repeat(side), mine, other)
        inputs = (self._judged[0], batch.actions)
        losses = critics.learn(side, inputs, self._aim(values, next_log_prob), 0.5)
        judgement = critics.judge(side, self._judged[0], actions)
        more, other = yield losses, judgement
        slopes = passes.backward(left, *self._judged_rows(side, judgement, other))
        others = yield slopes
        if side:
            loss = self._learn_temperature(log_prob)
            if self._targets_follow:
                critics.follow(self._algorithm.tau)
            return loss
        loss, *slopes = total(slopes, others)
        self._actor_steps.step(slopes)
        return torch.stack([0.5 * torch.stack(losses + more).sum(), loss])

    def _passes(self, side: int) -> tuple[Passes, list[Tensor]]:
        """Return the actor's passes over a side's rows, and what the first of them takes.

        The first gives actions and their log-likelihoods for observations, and log-likelihoods
        and targets' values for next observations; the second, from the temperature and what
        critics say, the side's part of the actor's loss and of its gradients.
        """
        size, part = len(self._batch.actions), rows(self._batch.actions, side)
        inputs = [rows(features, side) for features in (*self._seen, self._judged[1])]
        inputs += self._noise if self._is_by_state else [rows(n, side) for n in self._noise]
        count = len(self._algorithm.critic.q_networks)

        def examples() -> list[Tensor]:
            judged = [part[:, :1].clone() for _ in range(count)]
            return [self._temperature.clone(), *judged, *(part.clone() for _ in range(count))]

        def backward(acted: list[Tensor], *given: Tensor) -> list[Tensor]:
            return self._actor_gradients(acted, size, *given)

        whole = ("act", size, *map(id, self._parameters))
        functions = (self._act, backward)
        passes = self._algorithm.programs.get_passes(
            whole, functions, inputs, examples, [self._actor, *self._critics.targets]
        )
        return passes, inputs

    def _act(self, seen: Tensor, next_seen: Tensor, judged: Tensor, *noise: Tensor) -> list[Tensor]:
        acted = self._sample(seen, noise[0])
        with torch.no_grad():
            following, log_prob = self._sample(next_seen, noise[1])
            return [*acted, log_prob, *self._critics.values_of_targets(judged, following)]

    def _actor_gradients(
        self, acted: list[Tensor], size: int, temperature: Tensor, *judged: Tensor
    ) -> list[Tensor]:
        values, slopes = judged[: len(judged) // 2], judged[len(judged) // 2 :]
        actions, log_prob = acted[:2]
        with torch.no_grad():
            loss = (temperature * log_prob - lowest(values)).sum() / size
            slope = slope_of_lowest(values, slopes)
        entropy = (temperature * log_prob).sum() / size
        gradients = torch.autograd.grad([entropy, actions], self._parameters, [None, slope])
        return [loss, *gradients]

    def _judged_rows(self, side: int, *judgements: Judgement) -> list[Tensor]:
        """Return the temperature, and what all critics say of a side's rows."""
        first, second = reversed(judgements) if side else judgements
        columns = [*first.values, *second.values, *first.slopes, *second.slopes]
        return [self._temperature, *(rows(column, side) for column in columns)]


class _WholeUpdate(_Update):
    """Gradient steps of networks that learn the features they see, such as convolutions."""

    def __init__(self, algorithm: SAC) -> None:
        self._critics = WholeCritics(algorithm.critic, algorithm.critic_target)
        super().__init__(algorithm, self._critics)

    def _step(self, targets_follow: bool, *noise: Tensor) -> Tensor:
        algorithm, critics, batch = self._algorithm, self._critics, self._batch
        seen, next_seen = batch.observations, batch.next_observations
        actions, log_prob = self._sample(self._features(seen), noise[0])
        temperature_loss = self._learn_temperature(log_prob.detach())
        with torch.no_grad():
            following, next_log_prob = self._sample(self._features(next_seen), noise[1])
            values = algorithm.critic_target(next_seen, following)
            aim = self._aim(list(values), next_log_prob)
        critic_loss = 0.5 * critics.learn(seen, batch.actions, aim, 0.5)
        values = algorithm.critic(seen, actions)
        loss = (self._temperature * log_prob - lowest(values)).mean()
        self._actor_steps.step(list(torch.autograd.grad(loss, self._parameters)))
        if targets_follow:
            critics.follow(algorithm.tau)
        numbers = (self._temperature, critic_loss, loss.detach(), temperature_loss)
        return torch.cat([number.reshape(1) for number in numbers])

    def _features(self, observations: PyTorchObs) -> Tensor:
        return self._actor.extract_features(observations, self._actor.features_extractor)


def _normal(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Draw what torch's distributions draw."""
    drawn: Tensor = normal._standard_normal(  # type: ignore[attr-defined]
        shape, dtype=torch.float32, device=device
    )
    return drawn
