"""Steps of Adam and of target networks, on an accelerator such as can be part of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from roboyard.agents.torch.peers import Peers, add_up_gradients

Optimizers = Sequence[torch.optim.Optimizer]


def descend(
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    max_norm: float | None = None,
    share: tuple[Peers, int] | None = None,
) -> None:
    """Make one step down a loss.

    Args:
        optimizer: Its parameters get gradients; others, of a critic say, get none.
        loss: What to go down.
        max_norm: Largest norm of all gradients together.
        share: The processes that share the minibatch, and its rows; the loss is then the mean
            over the rows of this process.
    """
    parameters: list[Tensor] = optimizer.param_groups[0]["params"]
    optimizer.zero_grad()
    weighted = loss if share is None else loss * share[0].weight(share[1])
    torch.autograd.backward(weighted, inputs=parameters)
    if share is not None:
        add_up_gradients(share[0], parameters)
    if max_norm is not None:
        nn.utils.clip_grad_norm_(parameters, max_norm)
    optimizer.step()


def follow(parameters: Iterable[Tensor], targets: Iterable[Tensor], tau: float) -> None:
    """Move ``targets`` a share ``tau`` of the way to ``parameters`` (Polyak averaging)."""
    moved = list(targets)
    with torch.no_grad():
        torch._foreach_mul_(moved, 1 - tau)
        torch._foreach_add_(moved, list(parameters), alpha=tau)


class CapturableAdams:
    """Adam optimisers whose steps can be part of a graph, with learning rates that may change."""

    def __init__(self, optimizers: Optimizers) -> None:
        """Take optimisers with one group of parameters each; on a CPU they stay as they are."""
        self._optimizers = optimizers
        self._rates: list[Tensor] = []

    @contextmanager
    def on_device(self) -> Iterator[tuple[int, ...] | None]:
        """Keep learning rates and counts of steps on the accelerator in the body.

        Yields:
            Where all lies that steps change; a graph is good for these places only. None on a
            CPU.
        """
        groups = [optimizer.param_groups[0] for optimizer in self._optimizers]
        device = groups[0]["params"][0].device
        if device.type != "cuda":
            yield None
            return
        rates = [group["lr"] for group in groups]
        self._rates = self._rates or [torch.zeros((), device=device) for _ in groups]
        for group, rate, tensor in zip(groups, rates, self._rates, strict=True):
            tensor.fill_(rate)
            group.update(lr=tensor, fused=True, capturable=True)
        for optimizer in self._optimizers:
            for state in optimizer.state.values():
                state["step"] = state["step"].to(device, torch.float32)
        try:
            yield self._places()
        finally:
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate

    def __reduce__(self) -> tuple[type[CapturableAdams], tuple[Optimizers]]:
        return CapturableAdams, (self._optimizers,)

    def _places(self) -> tuple[int, ...]:
        tensors = list(self._rates)
        for optimizer in self._optimizers:
            tensors += optimizer.param_groups[0]["params"]
            tensors += [part for state in optimizer.state.values() for part in state.values()]
        return tuple(tensor.data_ptr() for tensor in tensors)
