"""A batch in two halves, one a lane.

What a network that both lanes need (an actor) does to a batch, each lane does to its rows; the
gradients of both are added. Sums over the batch therefore round differently from those of one
pass, and not by the number of lanes. An accelerator has no lanes: there the first half is all.
"""

from __future__ import annotations

import torch
from torch import Tensor


def middle(size: int) -> int:
    """Return how many of ``size`` rows are in the first half."""
    return (size + 1) // 2


def rows(batch: Tensor, side: int) -> Tensor:
    """Return a half of a batch, as a view.

    Args:
        batch: Shape (batch, ...).
        side: 0 or 1.
    """
    cut = len(batch) if batch.is_cuda else middle(len(batch))
    return batch[cut:] if side else batch[:cut]


def joined(side: int, mine: Tensor, other: Tensor) -> Tensor:
    """Return the batch of which ``mine`` is the half of a side, and ``other`` the other half."""
    return torch.cat([other, mine] if side else [mine, other])


def total(gradients: list[Tensor], others: list[Tensor]) -> list[Tensor]:
    """Return the sums of two halves' gradients, in place of the first."""
    torch._foreach_add_(gradients, others)
    return gradients
