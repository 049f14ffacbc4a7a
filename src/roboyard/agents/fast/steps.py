"""What an update does after its gradients are known: clip them, step, follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.optim import adam

Parameters = Sequence[nn.Parameter]


def steps_like_adam(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether :func:`adam_step` knows the optimiser: Adam with one group of parameters."""
    return type(optimizer) is torch.optim.Adam and len(optimizer.param_groups) == 1


def adam_step(optimizer: torch.optim.Optimizer, parameters: Parameters) -> None:
    """Make Adam's step for some of its parameters, which all have gradients.

    The same as ``optimizer.step()`` for these, without its bookkeeping, so that halves of the
    parameters may step at the same time.

    Args:
        optimizer: One for which :func:`steps_like_adam` holds, after its first own step.
        parameters: Those that step.
    """
    group = optimizer.param_groups[0]
    states = [optimizer.state[parameter] for parameter in parameters]
    with torch.no_grad():
        adam.adam(
            list(parameters),
            [parameter.grad for parameter in parameters],  # type: ignore[misc]
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [state["max_exp_avg_sq"] for state in states] if group["amsgrad"] else [],
            [state["step"] for state in states],
            foreach=group["foreach"],
            capturable=group["capturable"],
            differentiable=group["differentiable"],
            fused=group["fused"],
            amsgrad=group["amsgrad"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=group["maximize"],
            decoupled_weight_decay=group.get("decoupled_weight_decay", False),
        )


def has_stepped(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether the optimiser has the averages that its first step makes."""
    return len(optimizer.state) == len(optimizer.param_groups[0]["params"])


def gradient_norms(parameters: Parameters) -> list[Tensor]:
    """Return the Euclidean norm of each parameter's gradient."""
    return [torch.linalg.vector_norm(p.grad) for p in parameters if p.grad is not None]


def clip(parameters: Parameters, norms: Sequence[Tensor], max_norm: float) -> None:
    """Scale gradients down if their norm together is above ``max_norm``.

    As ``torch.nn.utils.clip_grad_norm_``, which multiplies by 1 where nothing is to be done.
    """
    total = torch.linalg.vector_norm(torch.stack(list(norms)))
    coefficient = max_norm / (total + 1e-6)
    if not coefficient >= 1.0:  # also if it is not a number
        torch._foreach_mul_([p.grad for p in parameters if p.grad is not None], coefficient)


def follow(parameters: Parameters, targets: Parameters, tau: float) -> None:
    """Move ``targets`` a share ``tau`` of the way to ``parameters`` (Polyak averaging)."""
    with torch.no_grad():
        torch._foreach_mul_(list(targets), 1 - tau)
        torch._foreach_add_(list(targets), list(parameters), alpha=tau)


@contextmanager
def unchecked_distributions() -> Iterator[None]:
    """Build distributions without asking whether their parameters are allowed.

    An update builds thousands of them; the next rollout, which is checked, finds what is not
    finite.
    """
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)
