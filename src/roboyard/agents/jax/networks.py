"""Torch modules as pure functions of their tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import torch
from jax import lax
from sb3_contrib.common.torch_layers import BatchRenorm
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN
from torch import nn

from roboyard.agents.jax.products import linear
from roboyard.errors import ConfigError

Tensors = Mapping[str, jax.Array]
"""A policy's parameters and buffers by name, as in its state dictionary."""
Statistics = dict[str, jax.Array]
"""Running statistics that a forward pass in training mode has moved on."""
Network = Callable[[Tensors, Any, Statistics | None], jax.Array]
"""A forward pass: tensors, input of shape (batch, ...), and where new statistics go.

Without a place for statistics the pass is in evaluation mode.
"""
M = TypeVar("M", bound=nn.Module)
Names = Mapping[int, str]

ELEMENTWISE: dict[type[nn.Module], Callable[[Any, jax.Array], jax.Array]] = {
    nn.Identity: lambda _, x: x,
    nn.Tanh: lambda _, x: jnp.tanh(x),
    nn.ReLU: lambda _, x: jax.nn.relu(x),
    nn.ELU: lambda layer, x: jax.nn.elu(x, layer.alpha),
    nn.GELU: lambda layer, x: jax.nn.gelu(x, approximate=layer.approximate == "tanh"),
    nn.SiLU: lambda _, x: jax.nn.silu(x),
    nn.LeakyReLU: lambda layer, x: jax.nn.leaky_relu(x, layer.negative_slope),
    nn.Mish: lambda _, x: jax.nn.mish(x),
    nn.Hardtanh: lambda layer, x: jnp.clip(x, layer.min_val, layer.max_val),
    nn.Flatten: lambda _, x: x.reshape(x.shape[0], -1),
    FlattenExtractor: lambda _, x: x.reshape(x.shape[0], -1),
}
"""Layers without tensors."""


def tensor_names(policy: nn.Module) -> dict[int, str]:
    """Return the first name of each parameter and buffer, by ``id``: shared ones have several."""
    return {
        id(tensor): name
        for name, tensor in chain(policy.named_parameters(), policy.named_buffers())
    }


def lower(module: nn.Module, names: Names) -> Network:
    """Return a module's forward pass as a function.

    Args:
        module: A layer or a sequence of layers.
        names: Of the tensors, see ``tensor_names``.

    Raises:
        ConfigError: The module is of a kind that is not known here.
    """
    for kind, function in ELEMENTWISE.items():
        if type(module) is kind:
            return lambda tensors, x, statistics: function(module, x)
    for kind, translate in _WITH_TENSORS.items():
        if isinstance(module, kind):
            return translate(module, names)
    known = ", ".join(sorted(kind.__name__ for kind in (*ELEMENTWISE, *_WITH_TENSORS)))
    raise ConfigError(
        f"agent.backend jax cannot compile the layer {type(module).__name__}. It knows: {known}. "
        "Use these, or agent.backend: torch."
    )


def _sequence(module: nn.Sequential, names: Names) -> Network:
    layers = [lower(layer, names) for layer in module]

    def apply(tensors: Tensors, x: jax.Array, statistics: Statistics | None) -> jax.Array:
        for layer in layers:
            x = layer(tensors, x, statistics)
        return x

    return apply


def _linear(module: nn.Linear, names: Names) -> Network:
    weight = names[id(module.weight)]
    bias = names[id(module.bias)] if module.bias is not None else None

    def apply(tensors: Tensors, x: jax.Array, statistics: Statistics | None) -> jax.Array:
        y = linear(x, tensors[weight])
        return y if bias is None else y + tensors[bias]

    return apply


def _layer_norm(module: nn.LayerNorm, names: Names) -> Network:
    weight, bias = names[id(module.weight)], names[id(module.bias)]

    def apply(tensors: Tensors, x: jax.Array, statistics: Statistics | None) -> jax.Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = jnp.square(centred).mean(axis=-1, keepdims=True)
        return centred * lax.rsqrt(variance + module.eps) * tensors[weight] + tensors[bias]

    return apply


def _convolution(module: nn.Conv2d, names: Names) -> Network:
    weight = names[id(module.weight)]
    bias = names[id(module.bias)] if module.bias is not None else None
    assert not isinstance(module.padding, str)
    padding = [(size, size) for size in module.padding]

    def apply(tensors: Tensors, x: jax.Array, statistics: Statistics | None) -> jax.Array:
        y = lax.conv_general_dilated(
            x,
            tensors[weight],
            window_strides=module.stride,
            padding=padding,
            rhs_dilation=module.dilation,
            dimension_numbers=("NCHW", "OIHW", "NCHW"),
            feature_group_count=module.groups,
        )
        return y if bias is None else y + tensors[bias][:, None, None]

    return apply


def _nature_cnn(module: NatureCNN, names: Names) -> Network:
    return _sequence(nn.Sequential(module.cnn, module.linear), names)


def _combined(module: CombinedExtractor, names: Names) -> Network:
    parts = {key: lower(extractor, names) for key, extractor in module.extractors.items()}

    def apply(
        tensors: Tensors, x: Mapping[str, jax.Array], statistics: Statistics | None
    ) -> jax.Array:
        features = [part(tensors, x[key], statistics) for key, part in parts.items()]
        return jnp.concatenate(features, axis=1)

    return apply


def _batch_renorm(module: BatchRenorm, names: Names) -> Network:
    """Batch renormalisation (Ioffe 2017), as sb3_contrib has it."""
    own = {key: names[id(tensor)] for key, tensor in module.state_dict(keep_vars=True).items()}

    def apply(tensors: Tensors, x: jax.Array, statistics: Statistics | None) -> jax.Array:
        mean, variance = tensors[own["ra_mean"]], tensors[own["ra_var"]]
        if statistics is not None:
            batch_mean, batch_variance = x.mean(axis=0), x.var(axis=0, ddof=1)
            steps = tensors[own["steps"]]
            corrected = _renormalised(module, batch_mean, batch_variance, mean, variance)
            warm = steps > module.warmup_steps
            keep = lax.stop_gradient
            statistics[own["ra_mean"]] = mean + module.momentum * (keep(batch_mean) - mean)
            statistics[own["ra_var"]] = variance + module.momentum * (
                keep(batch_variance) - variance
            )
            statistics[own["steps"]] = steps + 1
            mean = jnp.where(warm, corrected[0], batch_mean)
            variance = jnp.where(warm, corrected[1], batch_variance)
        y = (x - mean) / jnp.sqrt(variance + module.eps)
        return tensors[own["scale"]] * y + tensors[own["bias"]] if module.affine else y

    return apply


def _renormalised(
    module: BatchRenorm,
    batch_mean: jax.Array,
    batch_variance: jax.Array,
    mean: jax.Array,
    variance: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Return the batch's mean and variance, corrected towards the running ones."""
    running = jnp.sqrt(variance + module.eps)
    ratio = jnp.sqrt(batch_variance + module.eps) / running
    r = lax.stop_gradient(jnp.clip(ratio, 1.0 / module.rmax, module.rmax))
    shift = (batch_mean - mean) / running
    d = lax.stop_gradient(jnp.clip(shift, -module.dmax, module.dmax))
    return batch_mean - d * jnp.sqrt(batch_variance) / r, batch_variance / jnp.square(r)


_WITH_TENSORS: dict[type[nn.Module], Callable[[Any, Names], Network]] = {
    nn.Sequential: _sequence,
    nn.Linear: _linear,
    nn.LayerNorm: _layer_norm,
    nn.Conv2d: _convolution,
    NatureCNN: _nature_cnn,
    CombinedExtractor: _combined,
    BatchRenorm: _batch_renorm,
}
"""Layers with tensors."""


def tensors_of(policy: nn.Module) -> dict[str, torch.Tensor]:
    """Return a policy's parameters and buffers by name; shared ones once."""
    return dict(chain(policy.named_parameters(), policy.named_buffers()))
