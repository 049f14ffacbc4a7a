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
_WIDTHS = {"SAC": (256, 256), "TQC": (256, 256), "CrossQ": (256, 256), "TD3": (400, 300)}
_CRITIC_WIDTHS = {"CrossQ": (1024, 1024)}


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
    if family(cls) == "ARS":
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
    name = family(cls)
    if name == "ARS" or (name is None and network.critic is None):
        return list(network.actor or ())
    if is_on_policy(cls):
        default = () if extractor is NatureCNN else (64, 64)
        critic_key, critic_default = "vf", default
    else:
        default = _WIDTHS.get(name or "", (256, 256))
        if extractor is NatureCNN:
            default = (256, 256)
        critic_key, critic_default = "qf", _CRITIC_WIDTHS.get(name or "", default)
    actor = default if network.actor is None else network.actor
    critic = critic_default if network.critic is None else network.critic
    return {"pi": list(actor), critic_key: list(critic)}


def _optimizer_arguments(
    cls: type[BaseAlgorithm], hyperparameters: dict[str, object], weight_decay: float
) -> dict[str, object]:
    """Return the optimiser's arguments; without weight decay the algorithm's own stand."""
    if not weight_decay:
        return {}
    if family(cls) == "A2C" and hyperparameters.get("use_rms_prop", True):
        eps = hyperparameters.get("rms_prop_eps", 1e-5)
        return {
            "optimizer_class": torch.optim.RMSprop,
            "optimizer_kwargs": {"alpha": 0.99, "eps": eps, "weight_decay": weight_decay},
        }
    # Each policy sets these for Adam only when it gets no arguments, so they are repeated here.
    adam: dict[str, object] = {"weight_decay": weight_decay}
    if is_on_policy(cls):
        adam["eps"] = 1e-5
    if family(cls) == "CrossQ":
        adam["betas"] = (0.5, 0.999)
    return {"optimizer_class": torch.optim.AdamW, "optimizer_kwargs": adam}


def with_fused_adam(cls: type[BaseAlgorithm], arguments: dict[str, object]) -> dict[str, object]:
    """Return the policy's arguments with Adam's fused step, where the algorithm steps with Adam.

    On a CPU the step takes well under half the time, gives the same bits in every run, and
    continues exactly from a saved state; it rounds differently from Adam's other forms.
    """
    defaults = _FUSED.get(family(cls) or "")
    if defaults is None:
        return dict(arguments)
    given = arguments.get("optimizer_kwargs", defaults)
    return arguments | {"optimizer_kwargs": {**given, "fused": True}}  # type: ignore[dict-item]


_FUSED: dict[str, dict[str, object]] = {
    "PPO": {"eps": 1e-5},
    "TRPO": {"eps": 1e-5},
    "RecurrentPPO": {"eps": 1e-5},
    "SAC": {},
    "TD3": {},
    "TQC": {},
}
"""Algorithms that step with Adam, and the arguments they give it when they are given none."""


def uses_sde(policy_class: type[BasePolicy], hyperparameters: dict[str, object]) -> bool:
    """Return whether the policy is built with state-dependent exploration."""
    return (
        bool(hyperparameters.get("use_sde"))
        and "use_sde" in inspect.signature(policy_class.__init__).parameters
    )
