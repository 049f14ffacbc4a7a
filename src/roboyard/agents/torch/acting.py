"""The forward pass of an actor-critic policy in two parts: what actions need, and the rest."""

from __future__ import annotations

from typing import Any, NamedTuple

from stable_baselines3.common.distributions import StateDependentNoiseDistribution
from stable_baselines3.common.policies import ActorCriticPolicy, BaseModel
from stable_baselines3.common.torch_layers import MlpExtractor
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor, nn

from roboyard.agents.torch.distributions import action_distribution
from roboyard.agents.torch.modules import is_as_in

_TAKEN_APART = ("forward", "extract_features", "_get_action_dist_from_latent")


class ChosenActions(NamedTuple):
    """Actions, and what is needed to judge them."""

    actions: Tensor
    """As the distribution gives them."""
    outputs: Tensor
    """The actor's: means, or logits."""
    latent: Tensor
    """The actor's last hidden layer."""
    inputs: PyTorchObs
    """The critic's: features if it shares them with the actor, else observations."""


def choose_actions(policy: ActorCriticPolicy, observations: PyTorchObs) -> ChosenActions:
    """Draw actions as SB3 draws them, and compute nothing that they do not need.

    Args:
        policy: In evaluation mode; one for which :func:`can_take_apart` holds.
        observations: Of all environments.
    """
    is_shared = policy.share_features_extractor
    extractor = policy.features_extractor if is_shared else policy.pi_features_extractor
    features = BaseModel.extract_features(policy, observations, extractor)
    latent = policy.mlp_extractor.forward_actor(features)
    outputs = policy.action_net(latent)
    noise: Any = policy.action_dist
    if isinstance(noise, StateDependentNoiseDistribution):
        actions = explored(noise, outputs, latent)
    else:
        actions = action_distribution(policy, outputs, latent).get_actions()
    return ChosenActions(actions, outputs, latent, features if is_shared else observations)


def judge_actions(policy: ActorCriticPolicy, chosen: ChosenActions) -> tuple[Tensor, Tensor]:
    """Return values, shape (num_envs, 1), and the actions' log-probabilities, (num_envs,)."""
    inputs: Any = chosen.inputs
    if not policy.share_features_extractor:
        inputs = BaseModel.extract_features(policy, inputs, policy.vf_features_extractor)
    values = policy.value_net(policy.mlp_extractor.forward_critic(inputs))
    distribution = action_distribution(policy, chosen.outputs, chosen.latent)
    return values, distribution.log_prob(chosen.actions)


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
