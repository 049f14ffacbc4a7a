"""What actor and critic do in an update of PPO: apart from each other, or as one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import TensorDict
from torch import Tensor, nn

from roboyard.agents.fast.graphs import Graphs
from roboyard.agents.fast.programs import is_pure
from roboyard.agents.fast.steps import AdamSteps, clip, gradient_norms

if TYPE_CHECKING:
    from roboyard.agents.fast.ppo import PPO


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
    """The parameters of an actor-critic policy that shares none between the two.

    Those of one that does are all the actor's.
    """

    actor: list[nn.Parameter]
    critic: list[nn.Parameter]


NAMES = ("policy_gradient_loss", "entropy_loss", "approx_kl", "clip_fraction", "value_loss")
"""Statistics of a minibatch."""
KL = NAMES.index("approx_kl")
_ACTOR, _CRITIC = 0, 1

Lane = Generator[tuple[Tensor, bool], tuple[Tensor, bool], list[Tensor]]
"""A half's passes over an epoch; gives and gets norms of gradients and whether to stop."""


class Update:
    """What each half of the policy does in an update, and its settings."""

    def __init__(self, algorithm: PPO, halves: Halves) -> None:
        policy = algorithm.policy
        self._algorithm, self._policy, self._halves = algorithm, policy, halves
        self._gradients = (self._actor_gradients, self._critic_gradients)
        self._optimizer = policy.optimizer
        self._steps = tuple(AdamSteps(policy.optimizer, half) for half in halves if half)
        self._graphs = Graphs()
        self._is_discrete = isinstance(algorithm.action_space, spaces.Discrete)
        ranks = {id(p): rank for rank, p in enumerate(policy.parameters())}
        mixed = [ranks[id(p)] for p in (*halves.actor, *halves.critic)]
        order = [mixed.index(rank) for rank in range(len(mixed))]
        self._order = torch.tensor(order, device=policy.device)

    def is_of(self, halves: Halves) -> bool:
        """Return whether these are the halves, and they live where they did and step as before."""
        known, given = (list(map(id, [*two.actor, *two.critic])) for two in (self._halves, halves))
        same_place = self._order.device == self._policy.device
        return known == given and same_place and self._optimizer is self._policy.optimizer

    def begin(self) -> None:
        """Read what may have changed since the last update."""
        algorithm, halves = self._algorithm, self._halves
        self._keys = (
            ("actor", algorithm.ent_coef, algorithm.normalize_advantage, *map(id, halves.actor)),
            ("critic", algorithm.vf_coef, *map(id, halves.critic)),
        )
        progress = algorithm._current_progress_remaining
        # Tensors, so that a schedule needs no new program.
        clip = algorithm.clip_range(progress)  # type: ignore[operator]
        self._clip = self._tensors(1 - clip, 1 + clip, clip)
        self._value_clip: tuple[Tensor, ...] = ()
        if algorithm.clip_range_vf is not None:
            clip = algorithm.clip_range_vf(progress)  # type: ignore[operator]
            self._value_clip = self._tensors(-clip, clip)
        self._places = [steps.refresh() for steps in self._steps]

    def prepare(self, rollout: Rollout, size: int) -> list[Minibatch]:
        """Cut shuffled transitions into minibatches of at most ``size``."""
        prepared = []
        for batch in minibatches(rollout, size):
            features = self._policy.extract_features(batch.observations)
            pi, vf = features if isinstance(features, tuple) else (features, features)
            actor = (pi, batch.actions, batch.log_probs, batch.advantages, *self._clip)
            prepared.append(Minibatch(actor, (vf, *self._aims(batch))))
        return prepared

    def _aims(self, batch: Rollout) -> tuple[Tensor, ...]:
        clipped = (batch.values, *self._value_clip) if self._value_clip else ()
        return (batch.returns, *clipped)

    def learn(self, batches: Sequence[Minibatch]) -> Tensor:
        """Learn from minibatches; return their statistics, see ``NAMES``, a row for each."""
        if None not in self._places and self._algorithm.target_kl is None:
            # None of them depends on a value of the one before, so that each can be a graph.
            key = (self._keys, self._algorithm.max_grad_norm, *self._places)
            actors = len(batches[0].actor)

            def learn_one(*inputs: Tensor) -> list[Tensor]:
                return [self._learn_all([Minibatch(inputs[:actors], inputs[actors:])])[0]]

            given = ([*batch.actor, *batch.critic] for batch in batches)
            return torch.stack([self._graphs.run(key, learn_one, part)[0] for part in given])
        return self._learn_all(batches)

    def _learn_all(self, batches: Sequence[Minibatch]) -> Tensor:
        numbers, losses = self._algorithm.lanes.meet(
            self.lane(_ACTOR, batches), self.lane(_CRITIC, batches)
        )
        return torch.column_stack([torch.stack(numbers), torch.stack(losses)])

    def lane(self, side: int, batches: Sequence[Minibatch]) -> Lane:
        """Take one half over minibatches.

        Returns:
            The actor's statistics in each, see ``NAMES``, or the critic's losses.
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
        return limit is not None and bool(numbers[KL] > 1.5 * limit)

    def _clip_to_norm(self, gradients: list[Tensor], actor: Tensor, critic: Tensor) -> None:
        # In the order of SB3's parameters, so that the sum rounds as there.
        norms = torch.cat([actor, critic])[self._order]
        clip(gradients, norms, self._algorithm.max_grad_norm)

    def _tensors(self, *numbers: float) -> tuple[Tensor, ...]:
        return tuple(torch.tensor(number, device=self._policy.device) for number in numbers)

    def _actor_gradients(self, *inputs: Tensor) -> list[Tensor]:
        features, actions = inputs[:2]
        policy = self._policy
        latent = policy.mlp_extractor.forward_actor(features)
        distribution = policy._get_action_dist_from_latent(latent)
        log_prob = distribution.log_prob(self._taken(actions))
        loss, numbers = self._actor_loss(log_prob, distribution.entropy, *inputs[2:])
        gradients = torch.autograd.grad(loss, self._halves.actor)
        return [numbers, gradient_norms(gradients), *gradients]

    def _critic_gradients(self, *inputs: Tensor) -> list[Tensor]:
        features, *aims = inputs
        policy = self._policy
        values = policy.value_net(policy.mlp_extractor.forward_critic(features))
        loss = _critic_loss(values, *aims)
        gradients = torch.autograd.grad(self._algorithm.vf_coef * loss, self._halves.critic)
        return [loss.detach(), gradient_norms(gradients), *gradients]

    def _taken(self, actions: Tensor) -> Tensor:
        return actions.long().flatten() if self._is_discrete else actions

    def _actor_loss(
        self,
        log_prob: Tensor,
        find_entropy: Callable[[], Tensor | None],
        *given: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return the loss without the critic's, and the actor's statistics."""
        old_log_probs, advantages, low, high, limit = given
        weight = self._algorithm.ent_coef
        log_ratio = log_prob - old_log_probs
        ratio = log_ratio.exp()
        if self._algorithm.normalize_advantage and len(advantages) > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        clipped = torch.clamp(ratio, low, high)
        policy_loss = -torch.min(advantages * ratio, advantages * clipped).mean()
        with torch.set_grad_enabled(weight != 0):
            entropy = find_entropy()
            mean = -log_prob if entropy is None else entropy
            entropy_loss = -mean.mean()
        loss = policy_loss + weight * entropy_loss if weight else policy_loss
        with torch.no_grad():
            divergence = ((ratio - 1) - log_ratio).mean()
            clipped_share = ((ratio - 1).abs() > limit).float().mean()
            numbers = torch.stack([policy_loss, entropy_loss, divergence, clipped_share])
        return loss, numbers


class WholeUpdate(Update):
    """The same for a policy whose halves share the features that it learns to see."""

    def prepare(self, rollout: Rollout, size: int) -> list[Minibatch]:
        """Cut shuffled transitions into minibatches of at most ``size``."""
        prepared = []
        for batch in minibatches(rollout, size):
            if isinstance(batch.observations, dict):
                seen, self._names = tuple(batch.observations.values()), tuple(batch.observations)
            else:
                seen, self._names = (batch.observations,), ()
            actor = (batch.actions, batch.log_probs, batch.advantages, *self._clip)
            prepared.append(Minibatch((*seen, *actor), self._aims(batch)))
        return prepared

    def _learn_all(self, batches: Sequence[Minibatch]) -> Tensor:
        return torch.stack([self._learn_from(batch) for batch in batches])

    def _learn_from(self, batch: Minibatch) -> Tensor:
        policy, algorithm = self._policy, self._algorithm
        count = len(self._names) if self._names else 1
        seen, (actions, *given) = batch.actor[:count], batch.actor[count:]
        whole = dict(zip(self._names, seen, strict=True)) if self._names else seen[0]
        values, log_prob, entropy = policy.evaluate_actions(whole, self._taken(actions))
        loss, numbers = self._actor_loss(log_prob, lambda: entropy, *given)
        value_loss = _critic_loss(values, *batch.critic)
        parameters = self._halves.actor
        total = loss + algorithm.vf_coef * value_loss
        gradients = list(torch.autograd.grad(total, parameters))
        clip(gradients, gradient_norms(gradients), algorithm.max_grad_norm)
        self._steps[0].step(gradients)
        return torch.cat([numbers, value_loss.detach().reshape(1)])


def _critic_loss(values: Tensor, returns: Tensor, *clipped: Tensor) -> Tensor:
    values = values.flatten()
    if clipped:
        old_values, low, high = clipped
        values = old_values + torch.clamp(values - old_values, low, high)
    return nn.functional.mse_loss(returns, values)


class Minibatch(NamedTuple):
    """What each half learns from."""

    actor: tuple[Tensor, ...]
    critic: tuple[Tensor, ...]


def minibatches(rollout: Rollout, size: int) -> Iterator[Rollout]:
    """Cut shuffled transitions into views of at most ``size``."""
    for start in range(0, len(rollout.actions), size):
        yield rollout.take(slice(start, start + size))


def whole(policy: ActorCriticPolicy) -> Halves | None:
    """Return all that a policy learns as one half, or None if it may do more than compute."""
    if _is_changed(policy) or not is_pure(policy):
        return None
    return Halves(list(policy.parameters()), [])


def _is_changed(policy: ActorCriticPolicy) -> bool:
    return any(
        getattr(type(policy), name) is not getattr(ActorCriticPolicy, name)
        for name in ("evaluate_actions", "extract_features", "_get_action_dist_from_latent")
    )


def split(policy: ActorCriticPolicy) -> Halves | None:
    """Return the halves of a policy, or None if its two networks cannot learn apart."""
    if _is_changed(policy) or list(policy.features_extractor.parameters()):
        return None
    critic = [*policy.mlp_extractor.value_net.parameters(), *policy.value_net.parameters()]
    if not policy.share_features_extractor:
        critic = [*policy.vf_features_extractor.parameters(), *critic]
    numbers = {id(parameter) for parameter in critic}
    actor = [p for p in policy.parameters() if id(p) not in numbers]
    return Halves(actor, critic)
