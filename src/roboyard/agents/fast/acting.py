"""The forward pass of an actor-critic policy in two parts: what actions need, and the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import gymnasium
import torch
from stable_baselines3.common.distributions import (
    DiagGaussianDistribution,
    Distribution,
    StateDependentNoiseDistribution,
)
from stable_baselines3.common.policies import ActorCriticPolicy, BaseModel
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, MlpExtractor
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor, nn

from roboyard.agents.fast.programs import Function, Programs, has_hooks
from roboyard.agents.spaces import has_images

_TAKEN_APART = ("forward", "extract_features", "_get_action_dist_from_latent")


class Choice(NamedTuple):
    """Actions, and what is needed to judge them."""

    actions: Tensor
    """As the distribution gives them."""
    outputs: Tensor
    """The actor's: means, or logits."""
    latent: Tensor
    """The actor's last hidden layer."""
    inputs: tuple[Tensor, ...]
    """The critic's: features if it shares them with the actor, else observations."""


class Acting:
    """A policy as it is during a rollout: its weights do not change.

    Networks and log-probabilities run as recorded programs; draws are made as SB3 makes them.
    """

    def __init__(self, policy: ActorCriticPolicy, programs: Programs) -> None:
        """Take apart a policy for which :func:`can_take_apart` holds.

        Args:
            policy: In evaluation mode.
            programs: Where what is recorded is kept for the next rollouts.
        """
        self._policy = policy
        self._programs = programs
        self._weights = tuple(map(id, policy.parameters()))
        self._keys: tuple[str, ...] | None = None
        self._act: Function | None = None
        self._judge: Function | None = None

    def choose(self, observations: PyTorchObs) -> Choice:
        """Draw actions, and compute nothing that they do not need."""
        if isinstance(observations, dict):
            self._keys, parts = tuple(observations), tuple(observations.values())
        else:
            parts = (observations,)
        if self._act is None:
            self._act = self._program("act", self._actor, parts)
        features, latent, outputs = self._act(*parts)
        noise = self._policy.action_dist
        if isinstance(noise, StateDependentNoiseDistribution):
            actions = explored(noise, outputs, latent)
        else:
            actions = self.distribution(outputs, latent).get_actions()
        inputs = (features,) if self._policy.share_features_extractor else parts
        return Choice(actions, outputs, latent, inputs)

    def judge(self, choice: Choice) -> tuple[Tensor, Tensor]:
        """Return values, shape (num_envs, 1), and the actions' log-probabilities, (num_envs,)."""
        parts = (choice.actions, choice.outputs, choice.latent, *choice.inputs)
        if self._judge is None:
            self._judge = self._program("judge", self._critic, parts)
        values, log_probs = self._judge(*parts)
        return values, log_probs

    def distribution(self, outputs: Tensor, latent: Tensor) -> Distribution:
        """Return the distribution of the actions."""
        found: Any = self._policy.action_dist
        if isinstance(found, StateDependentNoiseDistribution):
            parameters: tuple[Tensor, ...] = (outputs, self._policy.log_std, latent)
        elif isinstance(found, DiagGaussianDistribution):
            parameters = (outputs, self._policy.log_std)
        else:
            parameters = (outputs,)
        distribution: Distribution = found.proba_distribution(*parameters)
        return distribution

    def _program(self, name: str, function: Function, inputs: tuple[Tensor, ...]) -> Function:
        return self._programs.get((name, self._weights), function, inputs, [self._policy])

    def _actor(self, *parts: Tensor) -> list[Tensor]:
        policy = self._policy
        shared = policy.share_features_extractor
        extractor = policy.features_extractor if shared else policy.pi_features_extractor
        features = self._features(parts, extractor)
        latent = policy.mlp_extractor.forward_actor(features)
        return [features, latent, policy.action_net(latent)]

    def _critic(
        self, actions: Tensor, outputs: Tensor, latent: Tensor, *inputs: Tensor
    ) -> list[Tensor]:
        policy, features = self._policy, inputs[0]
        if not policy.share_features_extractor:
            features = self._features(inputs, policy.vf_features_extractor)
        values = policy.value_net(policy.mlp_extractor.forward_critic(features))
        return [values, self.distribution(outputs, latent).log_prob(actions)]

    def _features(self, parts: tuple[Tensor, ...], extractor: BaseFeaturesExtractor) -> Tensor:
        whole = parts[0] if self._keys is None else dict(zip(self._keys, parts, strict=True))
        return BaseModel.extract_features(self._policy, whole, extractor)


def explored(noise: StateDependentNoiseDistribution, means: Tensor, latent: Tensor) -> Tensor:
    """Return what gSDE draws; its variance takes longer, and only log-probabilities need it."""
    actions = means + noise.get_noise(latent)
    return actions if noise.bijector is None else noise.bijector.forward(actions)


def can_take_apart(policy: nn.Module) -> bool:
    """Return whether a policy's forward pass is SB3's own."""
    return (
        isinstance(policy, ActorCriticPolicy)
        and is_as_in(ActorCriticPolicy, policy, *_TAKEN_APART)
        and is_as_in(MlpExtractor, policy.mlp_extractor, "forward")
    )


def is_as_in(owner: type[nn.Module], module: nn.Module, *names: str) -> bool:
    """Return whether a module has the owner's methods of these names, and no hooks."""
    methods = [getattr(getattr(module, name, None), "__func__", None) for name in names]
    return not has_hooks(module) and methods == [getattr(owner, name) for name in names]


@contextmanager
def acting_threads(observation_space: gymnasium.Space[Any]) -> Iterator[None]:
    """Act on one thread, unless observations have images.

    A batch is as small as the number of environments: more threads gain nothing, and go on
    spinning for a while on the cores that the environments need.
    """
    threads = torch.get_num_threads()
    if not has_images(observation_space):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
