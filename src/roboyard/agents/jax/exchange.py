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
