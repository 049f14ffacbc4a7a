"""Several critics of the same kind, learning side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import torch
from stable_baselines3.common.policies import BaseModel, ContinuousCritic
from torch import Tensor, nn

from roboyard.agents.fast.lanes import Lanes
from roboyard.agents.fast.steps import adam_step, follow, has_stepped, steps_like_adam

_SIDES = (0, 1)

Result = TypeVar("Result")


def can_learn_apart(critic: ContinuousCritic, *others: BaseModel) -> bool:
    """Return whether an algorithm's networks are such as :class:`Critics` can train.

    They are unless they learn features, have a forward pass of their own, or an optimiser other
    than Adam.
    """
    extractors = [model.features_extractor for model in (critic, *others)]
    learnt = [p for net in extractors if net is not None for p in net.parameters()]
    optimizers = [m.optimizer for m in (critic, *others) if hasattr(m, "optimizer")]
    return (
        not learnt
        and type(critic).forward is ContinuousCritic.forward
        and all(steps_like_adam(optimizer) for optimizer in optimizers)
    )


class Critics:
    """The critics of SAC and TD3 and their targets, in two halves, one a lane."""

    def __init__(self, critic: ContinuousCritic, target: ContinuousCritic, lanes: Lanes) -> None:
        """Take the networks of an algorithm."""
        self._optimizer = critic.optimizer
        self._lanes = lanes
        self._nets = _halves(critic.q_networks)
        self._targets = _halves(target.q_networks)
        self._parameters = [_parameters(nets) for nets in self._nets]

    def learn(
        self,
        inputs: Tensor,
        next_inputs: Tensor,
        target_of: Callable[[Tensor], Tensor],
        factor: float,
    ) -> Tensor:
        """Make one step.

        Args:
            inputs: Observations and actions, shape (batch, observation + action).
            next_inputs: The next ones.
            target_of: Gives the values to aim at, shape (batch, 1), from the lowest of the
                targets' values.
            factor: Of the sum of the critics' mean squared errors.

        Returns:
            The loss.
        """

        def look(side: int) -> tuple[list[Tensor], list[Tensor]]:
            for parameter in self._parameters[side]:
                parameter.grad = None
            with torch.no_grad():
                following = [net(next_inputs) for net in self._targets[side]]
            return following, [net(inputs) for net in self._nets[side]]

        (following, values), (more, others) = self._both(look)
        with torch.no_grad():
            targets = target_of(lowest(following + more))
        predictions = (values, others)
        alone = has_stepped(self._optimizer)

        def improve(side: int) -> list[Tensor]:
            losses = [nn.functional.mse_loss(value, targets) for value in predictions[side]]
            for loss in losses:
                torch.autograd.backward(factor * loss)
            if alone and losses:
                adam_step(self._optimizer, self._parameters[side])
            return [loss.detach() for loss in losses]

        first, second = self._both(improve)
        if not alone:
            self._optimizer.step()
        return factor * torch.stack(first + second).sum()

    def judge(self, observations: Tensor, actions: Tensor) -> Judgement:
        """Return what the critics say of actions."""
        inputs = [_joined(observations, actions) for _ in _SIDES]

        def look(side: int) -> list[Tensor]:
            return [net(inputs[side]) for net in self._nets[side]]

        first, second = self._both(look)
        values = [[value.detach().requires_grad_() for value in side] for side in (first, second)]
        return Judgement(inputs, (first, second), values, actions.shape[1])

    def to_actions(self, judgement: Judgement, loss: Tensor) -> Tensor:
        """Return the gradient of ``loss`` with respect to the judged actions.

        The critics' weights get none.
        """
        leaves = [value for side in judgement.values for value in side]
        errors = torch.autograd.grad(loss, leaves, retain_graph=True)
        middle = len(judgement.values[0])
        parts = (errors[:middle], errors[middle:])

        def back(side: int) -> Tensor | None:
            outputs = judgement.outputs[side]
            if not outputs:
                return None
            return torch.autograd.grad(outputs, judgement.inputs[side], parts[side])[0]

        first, second = self._both(back)
        assert first is not None
        total = first if second is None else first + second
        return total.narrow(1, total.shape[1] - judgement.size, judgement.size)

    def follow(self, tau: float) -> None:
        """Move the targets a share ``tau`` of the way to the critics."""
        targets = [parameter for nets in self._targets for parameter in _parameters(nets)]
        follow([parameter for half in self._parameters for parameter in half], targets, tau)

    def _both(self, work: Callable[[int], Result]) -> tuple[Result, Result]:
        return self._lanes.both(partial(work, 0), partial(work, 1))


class Judgement(NamedTuple):
    """Values of actions, and the way back to the actions."""

    inputs: list[Tensor]
    """Observations and actions, a copy for each half."""
    outputs: tuple[list[Tensor], list[Tensor]]
    """What the critics gave, by half."""
    values: list[list[Tensor]]
    """The same, as the leaves of a graph that starts here."""
    size: int
    """Entries of an action."""

    @property
    def lowest(self) -> Tensor:
        """The lowest value of each action, shape (batch, 1)."""
        return lowest([value for side in self.values for value in side])


def lowest(values: Sequence[Tensor]) -> Tensor:
    """Return the lowest of several values of each transition, shape (batch, 1)."""
    return torch.cat(list(values), dim=1).min(dim=1, keepdim=True)[0]


def _joined(observations: Tensor, actions: Tensor) -> Tensor:
    return torch.cat([observations, actions.detach()], dim=1).requires_grad_()


def _halves(nets: list[nn.Module]) -> tuple[list[nn.Module], list[nn.Module]]:
    middle = (len(nets) + 1) // 2
    return nets[:middle], nets[middle:]


def _parameters(nets: list[nn.Module]) -> list[nn.Parameter]:
    return [parameter for net in nets for parameter in net.parameters()]
