"""Averages over the processes that learn the same networks together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar, cast

import torch
from torch import Tensor

T = TypeVar("T")


class Peers(Protocol):
    """The processes that share each minibatch: each takes its rows, all make the same step."""

    def rows(self, count: int) -> slice:
        """Return which of a minibatch's rows are this process's."""

    def weight(self, count: int) -> float:
        """Return which share of a minibatch's rows that is; over all processes they sum to 1."""

    def add_up(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all processes, the same bits everywhere."""


def mean_over(peers: Peers | None, numbers: Tensor, count: int) -> Tensor:
    """Return the means over a whole minibatch, from those over this process's rows.

    Args:
        peers: None if there are no others.
        numbers: Means over the rows of this process.
        count: Rows of the whole minibatch.
    """
    if peers is None:
        return numbers
    total = numbers * peers.weight(count)
    peers.add_up(total)
    return total


def add_up_gradients(peers: Peers, parameters: Sequence[Tensor]) -> None:
    """Replace gradients by their sums over all processes, in one exchange."""
    gradients = [each.grad for each in parameters if each.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    peers.add_up(flat)
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    shaped = [part.view_as(gradient) for part, gradient in zip(parts, gradients, strict=True)]
    torch._foreach_copy_(gradients, shaped)


def taken(value: T, rows: slice) -> T:
    """Return some rows of a tensor, or of each tensor in a dictionary or tuple."""
    if isinstance(value, Tensor):
        return cast("T", value[rows])
    if isinstance(value, dict):
        return cast("T", {key: taken(part, rows) for key, part in value.items()})
    if isinstance(value, tuple):
        make = getattr(type(value), "_make", tuple)  # a named tuple's own
        return cast("T", make(taken(part, rows) for part in value))
    return value  # None, where a field is not used
