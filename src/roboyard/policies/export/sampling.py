"""The acting part of a policy network as one function of observation, memory and noise.

stable_baselines3's ``predict`` draws random numbers, branches on values and goes through NumPy,
none of which a graph can hold. A head computes the same action from the same layers, and takes
the randomness as an input: zeros give the most likely action, standard random numbers a sample.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.distributions import (
    BernoulliDistribution,
    CategoricalDistribution,
    DiagGaussianDistribution,
    MultiCategoricalDistribution,
    StateDependentNoiseDistribution,
)
from stable_baselines3.common.policies import ActorCriticPolicy, BaseModel, BasePolicy
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN
from torch import Tensor, nn

from roboyard.errors import PolicyError
from roboyard.policies.runtime.contract_reader import Noise

Observation = Tensor | dict[str, Tensor]


class Memory(NamedTuple):
    """What a recurrent network is given beside the observation."""

    hidden: Tensor
    cell: Tensor
    episode_start: Tensor


class Chosen(NamedTuple):
    """A network's answer, before it is clipped or scaled to the action space."""

    action: Tensor
    state: tuple[Tensor, ...]


class Head(nn.Module):
    """A network without randomness, such as TD3's and ARS's."""

    noise: Noise | None = None

    def __init__(self, policy: BasePolicy) -> None:
        super().__init__()
        self.policy: Any = policy

    def forward(
        self, observation: Observation, memory: Memory | None, noise: Tensor | None
    ) -> Chosen:
        """Return the action for a batch; ``noise`` has the shape (batch, ``self.noise.size``)."""
        del memory, noise
        return Chosen(self.policy._predict(observation, deterministic=True), ())


class ActorHead(Head):
    """The actor of SAC, TQC and CrossQ: a normal distribution squashed by tanh."""

    def __init__(self, policy: BasePolicy) -> None:
        super().__init__(policy)
        self.noise = Noise("normal", spaces.flatdim(policy.action_space))

    def forward(
        self, observation: Observation, memory: Memory | None, noise: Tensor | None
    ) -> Chosen:
        """Return the action for a batch."""
        del memory
        assert noise is not None
        actor = self.policy.actor
        features = actor.extract_features(observation, actor.features_extractor)
        latent = actor.latent_pi(features)
        if actor.use_sde:
            std = _sde_std(actor.action_dist, actor.log_std, latent)
        else:
            std = torch.exp(torch.clamp(actor.log_std(latent), LOG_STD_MIN, LOG_STD_MAX))
        return Chosen(torch.tanh(actor.mu(latent) + std * noise), ())


class ActorCriticHead(Head):
    """PPO, A2C, TRPO and RecurrentPPO."""

    def __init__(self, policy: BasePolicy) -> None:
        super().__init__(policy)
        self.noise = _noise_of(self.policy)

    def forward(
        self, observation: Observation, memory: Memory | None, noise: Tensor | None
    ) -> Chosen:
        """Return the action for a batch."""
        policy = self.policy
        # The class's own extract_features also runs the critic's extractor.
        latent = BaseModel.extract_features(policy, observation, policy.pi_features_extractor)
        state: tuple[Tensor, ...] = ()
        if memory is not None:
            keep = (1.0 - memory.episode_start)[None, :, None]
            before = (memory.hidden * keep, memory.cell * keep)
            sequence, state = policy.lstm_actor(latent[None], before)
            latent = sequence[0]
        latent = policy.mlp_extractor.forward_actor(latent)
        assert noise is not None
        return Chosen(_choose(policy, latent, noise), state)


def head_of(policy: BasePolicy) -> Head:
    """Return the head of a policy.

    Raises:
        PolicyError: Its distribution is of a kind that no graph is known for.
    """
    if isinstance(policy, ActorCriticPolicy):
        return ActorCriticHead(policy)
    if hasattr(getattr(policy, "actor", None), "get_action_dist_params"):
        return ActorHead(policy)
    return Head(policy)


def is_recurrent(policy: BasePolicy) -> bool:
    """Return whether a policy remembers."""
    return isinstance(policy, RecurrentActorCriticPolicy)


def _noise_of(policy: Any) -> Noise:  # noqa: ANN401  (SB3's policies have no common type)
    distribution = policy.action_dist
    if isinstance(distribution, DiagGaussianDistribution | StateDependentNoiseDistribution):
        return Noise("normal", distribution.action_dim)
    if isinstance(distribution, CategoricalDistribution):
        return Noise("gumbel", distribution.action_dim)
    if isinstance(distribution, MultiCategoricalDistribution):
        return Noise("gumbel", sum(map(int, distribution.action_dims)))
    if isinstance(distribution, BernoulliDistribution):
        return Noise("logistic", distribution.action_dims)
    raise PolicyError(
        f"a policy with the action distribution {type(distribution).__name__} cannot be exported."
    )


def _choose(policy: Any, latent: Tensor, noise: Tensor) -> Tensor:  # noqa: ANN401
    """Return the sample that the noise stands for; zeros give the mode.

    The largest of logits plus Gumbel noise is a sample of their categorical distribution
    (Gumbel 1954; Maddison et al. 2014), and a logit plus logistic noise is positive with the
    logit's probability.
    """
    distribution = policy.action_dist
    output: Tensor = policy.action_net(latent)
    if isinstance(distribution, StateDependentNoiseDistribution):
        sampled: Tensor = output + _sde_std(distribution, policy.log_std, latent) * noise
        return torch.tanh(sampled) if distribution.bijector is not None else sampled
    if isinstance(distribution, DiagGaussianDistribution):
        std: Tensor = policy.log_std.exp()
        return output + std * noise
    if isinstance(distribution, CategoricalDistribution):
        return torch.argmax(output + noise, dim=1)
    if isinstance(distribution, MultiCategoricalDistribution):
        parts = torch.split(output + noise, [int(n) for n in distribution.action_dims], dim=1)
        return torch.stack([torch.argmax(part, dim=1) for part in parts], dim=1)
    # Not "output + noise > 0": the network rounds its probabilities, and so must the graph.
    probability = torch.reciprocal(1.0 + torch.exp(-(output + noise)))
    return (probability > 0.5).to(output.dtype)


def _sde_std(distribution: Any, log_std: Tensor, latent: Tensor) -> Tensor:  # noqa: ANN401
    """Return the standard deviation that state-dependent exploration has at a state.

    Raffin & Kober 2021, eq. 4. The matrix behind it is drawn anew with each noise.
    """
    variance: Tensor = torch.mm(latent**2, distribution.get_std(log_std) ** 2)
    epsilon: float = distribution.epsilon
    return torch.sqrt(variance + epsilon)
