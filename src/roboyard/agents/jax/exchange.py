"""Tensors on their way between torch and JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import jax
import numpy as np
import torch

T = TypeVar("T")


def copies(tensors: Mapping[str, torch.Tensor]) -> dict[str, jax.Array]:
    """Return copies on the host: JAX may go on reading an array that it was given."""
    return {name: np.array(tensor.detach().numpy()) for name, tensor in tensors.items()}  # type: ignore[misc]


def put(tree: T, device: jax.Device) -> T:
    """Send a tree of arrays to a device, on which everything that reads it then runs."""
    sent: T = jax.device_put(tree, device)
    return sent


def fetch(tree: T) -> T:
    """Return a tree of arrays on the host, once they are computed.

    Arrays of a CPU are looked at where they are: ``jax.device_get`` first starts a copy of each,
    which takes seven times as long. From an accelerator these copies go on side by side.

    Args:
        tree: Of arrays that are all on one device.
    """
    on_cpu = all(device.platform == "cpu" for device in jax.tree.leaves(tree)[0].devices())
    fetched: T = jax.tree.map(np.asarray, tree) if on_cpu else jax.device_get(tree)
    return fetched
