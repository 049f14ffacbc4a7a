"""What an update does after its gradients are known: clip them, step, follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.optim import adam

Parameters = Sequence[nn.Parameter]


def steps_like_adam(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether :func:`adam_step` knows the optimiser: Adam with one group of parameters."""
    return type(optimizer) is torch.optim.Adam and len(optimizer.param_groups) == 1


def adam_step(optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> None:
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


class AdamSteps:
    """Adam's steps for some of an optimiser's parameters, side by side with those of others."""

    def __init__(self, optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> None:
        """Begin where the optimiser's memory is, which is made if there is none.

        Args:
            optimizer: One for which :func:`steps_like_adam` holds.
            parameters: Those that step, always together.
        """
        self._optimizer = optimizer
        self._parameters: list[Tensor] = list(parameters)
        self._begin()

    def _begin(self) -> None:
        group = self._optimizer.param_groups[0]
        device = self._parameters[0].device
        if device.type == "cuda" and not any(group[option] for option in _OPTIONS):
            group["fused"] = True  # one kernel, which can be part of a graph
        states = [self._optimizer.state[parameter] for parameter in self._parameters]
        for parameter, state in zip(self._parameters, states, strict=True):
            if not state:
                _remember(state, parameter, group)
            elif group["fused"]:
                state["step"] = state["step"].to(device)
        self._averages = [state["exp_avg"] for state in states]
        self._squares = [state["exp_avg_sq"] for state in states]
        self._counts = [state["step"] for state in states]
        self._count = int(self._counts[0])
        together = all(int(count) == self._count for count in self._counts)
        self._is_plain = together and not any(group[option] for option in (*_OPTIONS, "fused"))
        self._is_fused = bool(group["fused"]) and not any(group[option] for option in _OPTIONS)
        self._rate: Tensor | None = None
        if self._is_fused and device.type == "cuda":
            self._rate = torch.tensor(group["lr"], device=device)

    def refresh(self) -> tuple[int, ...] | None:
        """Take over memory that was loaded, and a learning rate that has changed.

        Returns:
            Where all lies that steps change, for :class:`Graphs`; None if steps cannot be part of
            a graph.
        """
        if self._optimizer.state[self._parameters[0]].get("step") is not self._counts[0]:
            self._begin()
        if self._rate is None:
            self._count = int(self._counts[0])
            return None
        self._rate.fill_(self._optimizer.param_groups[0]["lr"])
        changed = (self._parameters, self._averages, self._squares, self._counts, [self._rate])
        return tuple(tensor.data_ptr() for tensors in changed for tensor in tensors)

    def step(self, gradients: list[Tensor]) -> None:
        """Make a step; the same bits as ``optimizer.step()`` for these parameters.

        What was loaded since the last :meth:`refresh` is not looked at.

        Args:
            gradients: One for each parameter; not kept.
        """
        group = self._optimizer.param_groups[0]
        beta1, beta2 = group["betas"]
        with torch.no_grad():
            if self._is_fused:
                self._fused(gradients, group["lr"], beta1, beta2, group["eps"])
            elif self._is_plain:
                self._plain(gradients, group["lr"], beta1, beta2, group["eps"])
            else:
                for parameter, gradient in zip(self._parameters, gradients, strict=True):
                    parameter.grad = gradient
                adam_step(self._optimizer, self._parameters)

    def _fused(
        self, gradients: list[Tensor], lr: float, beta1: float, beta2: float, eps: float
    ) -> None:
        torch._foreach_add_(self._counts, 1)
        torch._fused_adam_(
            self._parameters,
            gradients,
            self._averages,
            self._squares,
            [],
            self._counts,
            lr=lr if self._rate is None else self._rate,
            beta1=beta1,
            beta2=beta2,
            weight_decay=0.0,
            eps=eps,
            amsgrad=False,
            maximize=False,
        )

    def _plain(
        self, gradients: list[Tensor], lr: float, beta1: float, beta2: float, eps: float
    ) -> None:
        self._count += 1
        correction = (1 - beta2**self._count) ** 0.5
        size = lr / (1 - beta1**self._count)
        torch._foreach_add_(self._counts, 1)
        torch._foreach_lerp_(self._averages, gradients, 1 - beta1)
        torch._foreach_mul_(self._squares, beta2)
        torch._foreach_addcmul_(self._squares, gradients, gradients, value=1 - beta2)
        spread = torch._foreach_sqrt(self._squares)
        torch._foreach_div_(spread, correction)
        torch._foreach_add_(spread, eps)
        torch._foreach_addcdiv_(self._parameters, self._averages, spread, value=-size)


_OPTIONS = ("weight_decay", "amsgrad", "maximize", "foreach", "capturable", "differentiable")


def _remember(state: dict[str, Tensor], parameter: Tensor, group: Mapping[str, object]) -> None:
    """Make the memory that Adam's first step would make."""
    device = parameter.device if group["capturable"] or group["fused"] else "cpu"
    state["step"] = torch.zeros((), dtype=torch.float32, device=device)
    for name in ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ())):
        state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)


def gradient_norms(gradients: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of each gradient, shape (gradients,)."""
    return torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients])


def clip(gradients: list[Tensor], norms: Tensor, max_norm: float) -> None:
    """Scale gradients down if the norm of all is above ``max_norm``.

    As ``torch.nn.utils.clip_grad_norm_``, which multiplies by 1 where nothing is to be done.

    Args:
        gradients: Those to scale; some of all, maybe.
        norms: Of all of them.
        max_norm: Largest norm of all of them together.
    """
    coefficient = max_norm / (torch.linalg.vector_norm(norms) + 1e-6)
    if coefficient.is_cuda:  # whose value would have to be waited for
        torch._foreach_mul_(gradients, coefficient.clamp(max=1.0))
    elif not coefficient >= 1.0:  # also if it is not a number
        torch._foreach_mul_(gradients, coefficient)


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
