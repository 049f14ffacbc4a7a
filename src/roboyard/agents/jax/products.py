"""The product of a linear layer, with gradients in the form that XLA's CPU kernels are quick at.

A weight's gradient sums over the batch, the first dimension of both of its factors. XLA gives such
products to Eigen, which first copies the left factor into blocks. That takes several times as long
as the product itself where the left factor is the wide one: four times for a first layer of 15
inputs and 256 outputs.
"""

from __future__ import annotations

import jax
from jax import lax

Factors = tuple[jax.Array, jax.Array]


@jax.custom_vjp
def linear(inputs: jax.Array, weight: jax.Array) -> jax.Array:
    """Return ``inputs @ weight.T``, shape (..., outputs).

    Args:
        inputs: Shape (..., inputs), mostly (batch, inputs).
        weight: Shape (outputs, inputs), as in torch.
    """
    return inputs @ weight.T


def _forward(inputs: jax.Array, weight: jax.Array) -> tuple[jax.Array, Factors]:
    return linear(inputs, weight), (inputs, weight)


def _backward(factors: Factors, slope: jax.Array) -> Factors:
    inputs, weight = factors
    rows, slopes = (part.reshape(-1, part.shape[-1]) for part in (inputs, slope))
    gradient: jax.Array = lax.platform_dependent(
        rows, slopes, cpu=_narrow_first, default=lambda rows, slopes: slopes.T @ rows
    )
    return slope @ weight, gradient


linear.defvjp(_forward, _backward)


def _narrow_first(rows: jax.Array, slopes: jax.Array) -> jax.Array:
    """Return ``slopes.T @ rows``, computed with the narrower one on the left."""
    is_narrow = rows.shape[1] < slopes.shape[1]
    product = rows.T @ slopes if is_narrow else slopes.T @ rows
    # Without it XLA turns the product round as it likes.
    kept: jax.Array = lax.optimization_barrier(product)  # type: ignore[no-untyped-call]
    return kept.T if is_narrow else kept
