"""From a network record to the policy class of an algorithm and its arguments."""

from __future__ import annotations

import inspect
from typing import NamedTuple

import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import NatureCNN
from torch import nn

from roboyard.agents.algorithms import constructor_parameters, family, is_on_policy
from roboyard.agents.extractors import extractor_class
from roboyard.agents.spaces import AnySpace
from roboyard.config.networks import NetworkConfig
from roboyard.errors import ConfigError
from roboyard.registry import Registry

ACTIVATIONS: Registry[type] = Registry(
    "activation",
    {
        "tanh": nn.Tanh,
        "relu": nn.ReLU,
        "elu": nn.ELU,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "leaky_relu": nn.LeakyReLU,
        "mish": nn.Mish,
    },
)
"""Names for ``agent.network.activation``; register one here to use it in YAML."""

_ALIASES = {
    "array": ("MlpPolicy", "MlpLstmPolicy"),
    "image": ("CnnPolicy", "CnnLstmPolicy"),
    "dict": ("MultiInputPolicy", "MultiInputLstmPolicy"),
}


class PolicyPlan(NamedTuple):
    """A policy class and the arguments that follow the spaces and the learning rate."""

    policy_class: type[BasePolicy]
    arguments: dict[str, object]


def plan_policy(
    cls: type[BaseAlgorithm],
    network: NetworkConfig,
    hyperparameters: dict[str, object],
    observation_space: AnySpace,
) -> PolicyPlan:
    """Choose the policy class for the observations and translate the network record.

    Raises:
        ConfigError: A name is unknown or the extractor does not fit the observations.
    """
    policy_class = _policy_class(cls, network, observation_space)
    known = constructor_parameters(policy_class)
    arguments: dict[str, object] = {}
    activation = activation_class(network.activation)
    if activation is not None:
        arguments["activation_fn"] = activation
    if "features_extractor_class" in known:
        arguments |= _extractor_arguments(network, observation_space)
    widths = _widths(cls, network, arguments.get("features_extractor_class"))
    if widths is not None and "net_arch" in known:
        arguments["net_arch"] = widths
    if network.log_std_init is not None:
        arguments["log_std_init"] = network.log_std_init
    if network.lstm_size is not None:
        arguments["lstm_hidden_size"] = network.lstm_size
    if network.num_critics is not None:
        arguments["n_critics"] = network.num_critics
    if network.init != "auto" and "ortho_init" in known:
        arguments["ortho_init"] = network.init == "orthogonal"
    arguments |= _optimizer_arguments(cls, hyperparameters, network.weight_decay)
    return PolicyPlan(policy_class, arguments)


def activation_class(name: str) -> type[nn.Module] | None:
    """Return the activation's class, or None for the algorithm's own.

    Raises:
        ConfigError: The name is unknown, or what it names is no ``torch.nn.Module`` class.
    """
    if name == "auto":
        return None
    found: object = ACTIVATIONS.resolve(name)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ConfigError(
            f"agent.network.activation '{name}' is {found!r}, which is not a class derived from "
            "torch.nn.Module."
        )
    return found


def _policy_class(
    cls: type[BaseAlgorithm], network: NetworkConfig, observation_space: AnySpace
) -> type[BasePolicy]:
    aliases = cls.policy_aliases
    spec = family(cls)
    if spec is not None and spec.kind == "search":
        return aliases["MlpPolicy" if network.actor else "LinearPolicy"]
    kind = "array"
    if isinstance(observation_space, spaces.Dict):
        kind = "dict"
    elif is_image_space(observation_space) and network.extractor.type == "auto":
        kind = "image"
    # An algorithm without a class of its own for images or dictionaries (CrossQ) differs only in
    # the extractor, which is always passed.
    for alias in (*_ALIASES[kind], *_ALIASES["array"]):
        if alias in aliases:
            return aliases[alias]
    raise ConfigError(
        f"algorithm '{cls.__name__}' has none of the policies {', '.join(_ALIASES[kind])}. "
        f"It offers: {', '.join(aliases) or 'none'}."
    )


def _extractor_arguments(network: NetworkConfig, observation_space: AnySpace) -> dict[str, object]:
    chosen = network.extractor
    arguments: dict[str, object] = {
        "features_extractor_class": extractor_class(chosen, observation_space),
    }
    if chosen.kwargs:
        arguments["features_extractor_kwargs"] = dict(chosen.kwargs)
    if chosen.shared is not None:
        arguments["share_features_extractor"] = chosen.shared
    return arguments


def _widths(
    cls: type[BaseAlgorithm], network: NetworkConfig, extractor: object
) -> list[int] | dict[str, list[int]] | None:
    """Return the hidden widths; a part that is not given keeps the algorithm's default."""
    if network.actor is None and network.critic is None:
        return None
    spec, on_policy = family(cls), is_on_policy(cls)
    if (spec is not None and spec.critic is None) or (spec is None and network.critic is None):
        return list(network.actor or ())
    own: tuple[int, ...] = (64, 64) if on_policy else (256, 256)
    actor, critic = (own, own) if spec is None else (spec.actor, spec.critic or own)
    if extractor is NatureCNN and not (spec is not None and spec.batch_normalised):
        actor = critic = () if on_policy else (256, 256)
    actor = actor if network.actor is None else network.actor
    critic = critic if network.critic is None else network.critic
    return {"pi": list(actor), "vf" if on_policy else "qf": list(critic)}


def _optimizer_arguments(
    cls: type[BaseAlgorithm], hyperparameters: dict[str, object], weight_decay: float
) -> dict[str, object]:
    """Return the optimiser's arguments; without weight decay the algorithm's own stand."""
    if not weight_decay:
        return {}
    spec = family(cls)
    if spec is not None and spec.rms_prop and hyperparameters.get("use_rms_prop", True):
        eps = hyperparameters.get("rms_prop_eps", 1e-5)
        return {
            "optimizer_class": torch.optim.RMSprop,
            "optimizer_kwargs": {"alpha": 0.99, "eps": eps, "weight_decay": weight_decay},
        }
    # Each policy sets these for Adam only when it gets no arguments, so they are repeated here.
    own = {"eps": 1e-5} if spec is None and is_on_policy(cls) else {}
    adam = {**(own if spec is None else spec.adamw), "weight_decay": weight_decay}
    return {"optimizer_class": torch.optim.AdamW, "optimizer_kwargs": adam}


def with_fused_adam(cls: type[BaseAlgorithm], arguments: dict[str, object]) -> dict[str, object]:
    """Return the policy's arguments with Adam's fused step, where the algorithm steps with Adam.

    On a CPU the step takes well under half the time, gives the same bits in every run, and
    continues exactly from a saved state; it rounds differently from Adam's other forms.
    """
    spec = family(cls)
    if spec is None or spec.adam is None:
        return dict(arguments)
    given = arguments.get("optimizer_kwargs", spec.adam)
    return arguments | {"optimizer_kwargs": {**given, "fused": True}}  # type: ignore[dict-item]


def uses_sde(policy_class: type[BasePolicy], hyperparameters: dict[str, object]) -> bool:
    """Return whether the policy is built with state-dependent exploration."""
    return (
        bool(hyperparameters.get("use_sde"))
        and "use_sde" in inspect.signature(policy_class.__init__).parameters
    )
