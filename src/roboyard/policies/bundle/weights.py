"""Network parameters as bytes, and a network built again from them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
from gymnasium import spaces
from safetensors.torch import load, save
from stable_baselines3.common.policies import BasePolicy

from roboyard.agents.factory import build_policy
from roboyard.agents.hyperparameters import hyperparameter_values
from roboyard.agents.spaces import network_space
from roboyard.config.trust import admitted
from roboyard.errors import ConfigError, PolicyError
from roboyard.policies.bundle.layout import POLICY_PART
from roboyard.policies.bundle.manifest import NetworkSection
from roboyard.policies.runtime.normalizer import ObservationNormalizer
from roboyard.policies.spaces import AnySpace

if TYPE_CHECKING:
    from roboyard.config.agents import AgentBase
    from roboyard.policies.bundle.policy_bundle import PolicyBundle


class Packed(NamedTuple):
    """Parameters as bytes."""

    content: bytes
    """In the safetensors format."""
    aliases: dict[str, str]
    """Names of parameters that are the same tensor as a stored one."""


def pack(policy: BasePolicy) -> Packed:
    """Return a policy's parameters and buffers; a tensor with two names is stored once."""
    stored: dict[str, torch.Tensor] = {}
    first: dict[tuple[int, tuple[int, ...]], str] = {}
    aliases: dict[str, str] = {}
    for name, tensor in policy.state_dict().items():
        place = (tensor.data_ptr(), tuple(tensor.shape))
        if tensor.numel() and place in first:
            aliases[name] = first[place]
        else:
            first[place] = name
            stored[name] = tensor.detach().cpu().contiguous()
    return Packed(save(stored), aliases)


def check_spaces(
    policy: BasePolicy,
    normalizer: ObservationNormalizer | None,
    observation_space: AnySpace,
    action_space: AnySpace,
) -> None:
    """Refuse spaces that are not those of the environment that the policy was built for.

    Raises:
        PolicyError: Acting on such observations would fail or mean something else.
    """
    seen = observation_space
    if normalizer is not None:
        normalizer.check_space(observation_space)
        seen = normalizer.output_space(observation_space)
    for kind, given, own in (
        ("observation", network_space(seen), policy.observation_space),
        ("action", action_space, policy.action_space),
    ):
        if given != own:
            raise PolicyError(
                f"the {kind} space {given} does not fit the policy, which was built for {own}."
            )


def describe(policy: BasePolicy, aliases: dict[str, str]) -> NetworkSection:
    """Return what a reader must know about the network beside its weights."""
    lstm = getattr(policy, "lstm_hidden_state_shape", None)
    shapes = ((tuple(lstm),) * 2) if lstm is not None else ()
    return NetworkSection(squashed=policy.squash_output, state_shapes=shapes, aliases=aliases)


def build_network(bundle: PolicyBundle, *, device: str, trust_code: bool) -> BasePolicy:
    """Build the network that a bundle describes and load its weights.

    Raises:
        PolicyError: The weights do not fit the config, or the config names foreign code.
    """
    agent: AgentBase = admitted(
        bundle.config.agent, bundle.source, trusted=trust_code, where="agent"
    )
    state = _unpack(bundle)
    _check_scale(bundle, agent, sum(tensor.numel() for tensor in state.values()))
    space = bundle.observation_space
    if bundle.normalizer is not None:
        space = bundle.normalizer.output_space(space)
    try:
        policy = build_policy(agent, space, bundle.action_space, device)
        policy.load_state_dict(state)
    except (ConfigError, RuntimeError, MemoryError, TypeError) as error:
        reason = " ".join(str(error).split())[:500]
        raise PolicyError(
            f"'{bundle.source}': its weights, spaces and config do not fit each other: {reason}"
        ) from error
    _draw_exploration(policy, agent)
    policy.set_training_mode(False)
    return policy


def _draw_exploration(policy: BasePolicy, agent: AgentBase) -> None:
    """Draw gSDE's matrix for the loaded standard deviation, disturbing no generator.

    Sampled actions then explore as far as the policy learnt to; ``policy.reset_noise()`` draws
    another matrix.
    """
    reset = getattr(policy, "reset_noise", None)
    if not (hyperparameter_values(agent).get("use_sde") and callable(reset)):
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        reset()


def _unpack(bundle: PolicyBundle) -> dict[str, torch.Tensor]:
    try:
        state: dict[str, torch.Tensor] = load(bundle.weights)
    except Exception as error:  # Whatever damaged bytes make the parser raise.
        raise PolicyError(f"'{bundle.source}' is damaged: {POLICY_PART}: {error}.") from error
    for name, original in bundle.manifest.network.aliases.items():
        if original not in state:
            raise PolicyError(f"'{bundle.source}' is damaged: {POLICY_PART} has no '{original}'.")
        state[name] = state[original]
    return state


def _check_scale(bundle: PolicyBundle, agent: AgentBase, available: int) -> None:
    """Refuse layers that the stored weights cannot fill, before memory is taken for them."""
    network = agent.network
    inputs = 1 if agent.network.extractor.kwargs else _entries(bundle.observation_space)
    if any(len(shape) == 3 for shape in _shapes(bundle.observation_space)):
        inputs = 1  # A CNN stands between the picture and the first layer.
    widths = [list(part) for part in (network.actor, network.critic) if part]
    needed = [a * b for part in widths for a, b in pairwise(part)]
    needed += [part[0] * min(inputs, 1 if network.lstm_size else inputs) for part in widths]
    needed += [4 * (network.lstm_size or 0) ** 2, network.num_critics or 0]
    needed += [abs(v) for v in network.extractor.kwargs.values() if isinstance(v, int)]
    if max(needed) > available:
        raise PolicyError(
            f"'{bundle.source}' is damaged: its config describes layers of {max(needed)} weights, "
            f"but it holds only {available}."
        )


def _shapes(space: AnySpace) -> list[tuple[int, ...]]:
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    return [tuple(part.shape or ()) for part in parts]


def _entries(space: AnySpace) -> int:
    return int(spaces.flatdim(space))
