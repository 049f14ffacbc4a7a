"""Layer normalisation and initialisation, applied to a policy that has just been built.

stable_baselines3 offers neither, so the built modules are edited in place: every reference to
them stays valid, and a policy built again from the same record has the same parameter names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import cast

import torch
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from torch import nn

from roboyard.config.networks import NetworkConfig
from roboyard.errors import ConfigError

_BODIES = ("policy_net", "value_net", "latent_pi")
"""Sequences of hidden layers only."""
_WITH_OUTPUT = ("mu", "q_net", "qf")
"""Beginnings of the names of sequences whose last linear layer is the output."""
_OUTPUTS = ("action_net", "value_net", "mu", "log_std")
"""Names of output layers that stand alone."""


def customise(policy: BasePolicy, network: NetworkConfig) -> None:
    """Add layer normalisation and apply the chosen initialisation.

    Raises:
        ConfigError: The policy has no hidden layers that could be normalised.
    """
    if network.layer_norm:
        added = add_layer_norm(policy)
        _extend_optimizers(policy, added)
    if network.init != "auto":
        initialise(policy, network.init)
    if network.layer_norm or network.init != "auto":
        _copy_to_targets(policy)


def add_layer_norm(policy: BasePolicy) -> list[nn.Parameter]:
    """Insert a LayerNorm after each hidden linear layer, before its activation.

    Returns:
        The parameters of the new layers.
    """
    added: list[nn.Parameter] = []
    for sequence, has_output in _hidden_sequences(policy):
        linear = [i for i, layer in enumerate(sequence) if isinstance(layer, nn.Linear)]
        for index in reversed(linear[:-1] if has_output else linear):
            layer = cast("nn.Linear", sequence[index])
            norm = nn.LayerNorm(layer.out_features, device=layer.weight.device)
            sequence.insert(index + 1, norm)
            added.extend(norm.parameters())
    if not added:
        raise ConfigError(
            f"agent.network.layer_norm: {type(policy).__name__} has no hidden layers to normalise. "
            "Give it some with agent.network.actor and agent.network.critic, or leave it out."
        )
    return added


def _hidden_sequences(policy: BasePolicy) -> Iterator[tuple[nn.Sequential, bool]]:
    for path, module in policy.named_modules():
        name = path.rpartition(".")[2]
        if isinstance(module, nn.Sequential):
            if name in _BODIES:
                yield module, False
            elif name.startswith(_WITH_OUTPUT):
                yield module, True


def _extend_optimizers(policy: BasePolicy, added: list[nn.Parameter]) -> None:
    """Rebuild each optimiser over its old parameters and the new ones beside them."""
    new = {id(parameter) for parameter in added}
    for module in policy.modules():
        optimizer = getattr(module, "optimizer", None)
        if not isinstance(optimizer, torch.optim.Optimizer):
            continue
        (group,) = optimizer.param_groups
        kept = new | {id(parameter) for parameter in group["params"]}
        # Adam and AdamW set this one themselves; AdamW does not take it.
        settings = {k: v for k, v in optimizer.defaults.items() if k != "decoupled_weight_decay"}
        rebuilt = type(optimizer)([p for p in module.parameters() if id(p) in kept], **settings)
        vars(module)["optimizer"] = rebuilt


def initialise(policy: BasePolicy, scheme: str) -> None:
    """Draw the weights of all linear and convolution layers anew and zero their biases.

    Args:
        policy: A built policy.
        scheme: ``orthogonal`` (gain sqrt(2) in hidden layers, 1 in outputs), ``xavier_uniform``
            (Glorot & Bengio 2010), ``kaiming_uniform`` (He et al. 2015), or ``torch``, which
            leaves what the layers were made with.
    """
    if scheme == "torch":
        return
    if scheme == "orthogonal" and isinstance(policy, ActorCriticPolicy):
        return  # The class does this itself, with its own gain for each output.
    outputs = set(_output_layers(policy))
    for module in policy.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            gain = 1.0 if module in outputs else math.sqrt(2.0)
            _DRAWS[scheme](module.weight, gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _orthogonal(weight: torch.Tensor, gain: float) -> None:
    nn.init.orthogonal_(weight, gain=gain)


def _xavier(weight: torch.Tensor, gain: float) -> None:
    nn.init.xavier_uniform_(weight)


def _kaiming(weight: torch.Tensor, gain: float) -> None:
    nn.init.kaiming_uniform_(weight, nonlinearity="relu")


_DRAWS: dict[str, Callable[[torch.Tensor, float], None]] = {
    "orthogonal": _orthogonal,
    "xavier_uniform": _xavier,
    "kaiming_uniform": _kaiming,
}


def _output_layers(policy: BasePolicy) -> Iterator[nn.Module]:
    for path, module in policy.named_modules():
        name = path.rpartition(".")[2]
        if isinstance(module, nn.Linear) and name in _OUTPUTS:
            yield module
        elif isinstance(module, nn.Sequential) and name.startswith(_WITH_OUTPUT):
            yield [layer for layer in module if isinstance(layer, nn.Linear)][-1]


def _copy_to_targets(policy: BasePolicy) -> None:
    """Make target networks equal to the networks that they follow, as they start out."""
    for name, module in list(policy.named_children()):
        target = getattr(policy, f"{name}_target", None)
        if isinstance(target, nn.Module):
            target.load_state_dict(module.state_dict())
