"""What may be known of modules without running them."""

from __future__ import annotations

import torch
from stable_baselines3.common.policies import BaseModel
from torch import nn

_PURE = ("torch.nn.", "stable_baselines3.", "sb3_contrib.", "roboyard.")
_CHANGING = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd, nn.RNNBase, nn.RReLU)


def is_pure(network: nn.Module) -> bool:
    """Return whether a network does nothing but compute: no randomness, no state, no hooks.

    Modules of the user's own may do anything, so they count as impure.
    """
    modules = list(network.modules())
    known = all(type(module).__module__.startswith(_PURE) for module in modules)
    # Policies themselves are not called by an update.
    called = [module for module in modules if not isinstance(module, BaseModel)]
    changing = any(isinstance(module, _CHANGING) for module in modules)
    return known and not changing and not any(map(has_hooks, called))


def has_hooks(module: nn.Module) -> bool:
    """Return whether a call of a module runs more than its ``forward``."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def is_as_in(owner: type[nn.Module], module: nn.Module, *names: str) -> bool:
    """Return whether a module has the owner's methods of these names, and no hooks."""
    methods = [getattr(getattr(module, name, None), "__func__", None) for name in names]
    return not has_hooks(module) and methods == [getattr(owner, name) for name in names]


def steps_with_adam(model: nn.Module) -> bool:
    """Return whether a model's optimiser, if it has one, is Adam with one group of parameters."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return True
    return type(optimizer) is torch.optim.Adam and len(optimizer.param_groups) == 1
