"""Several critics of the same kind, learning side by side."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BaseModel, ContinuousCritic
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor, nn

from roboyard.agents.fast.programs import Programs, is_pure
from roboyard.agents.fast.steps import AdamSteps, follow, steps_like_adam


def can_learn(critic: ContinuousCritic, actor: BaseModel, whole: bool) -> bool:
    """Return whether an algorithm's networks are such as are trained here.

    They are unless they have a forward pass of their own or layers that do more than compute, or
    an optimiser other than Adam.

    Args:
        critic: The critics.
        actor: The actor.
        whole: Whether they may learn features, as :class:`WholeCritics` do.
    """
    models = (critic, actor)
    optimizers = [model.optimizer for model in models if hasattr(model, "optimizer")]
    return (
        (whole or not learns_features(*models))
        and type(critic).forward is ContinuousCritic.forward
        and all(is_pure(model) for model in models)
        and all(steps_like_adam(optimizer) for optimizer in optimizers)
    )


def learns_features(*models: BaseModel) -> bool:
    """Return whether any of the models has weights in what extracts its features."""
    extractors = [model.features_extractor for model in models]
    return any(list(net.parameters()) for net in extractors if net is not None)


def features_of(model: BaseModel, observations: PyTorchObs) -> Tensor:
    """Return what an actor or critic sees of observations, shape (batch, features).

    Vectors are seen as they are, so that SB3's way through several modules is not taken.
    """
    extractor = model.features_extractor
    if type(extractor) is FlattenExtractor and isinstance(observations, Tensor):
        is_vector = observations.dim() == 2 and isinstance(model.observation_space, spaces.Box)
        if is_vector and observations.dtype is torch.float32:
            return observations.view_as(observations)  # recording tells inputs apart by identity
    return model.extract_features(observations, extractor)  # type: ignore[arg-type]


class Judgement(NamedTuple):
    """What some critics say of actions."""

    values: list[Tensor]
    """Of each critic, shape (batch, 1)."""
    slopes: list[Tensor]
    """Gradients of minus the mean of each critic's values, with respect to the actions."""


class Aim(NamedTuple):
    """The values that critics should reach, shape (batch, 1), as a function of tensors."""

    key: Hashable
    """Whatever else it depends on."""
    function: Callable[..., Tensor]
    inputs: Sequence[Tensor]


class Critics:
    """The critics of SAC and TD3 and their targets, in two halves, one a lane.

    Each half, also called side, is used by one lane at a time.
    """

    def __init__(
        self, critic: ContinuousCritic, target: ContinuousCritic, programs: Programs
    ) -> None:
        """Take the networks of an algorithm, and what it has recorded."""
        self._programs = programs
        self._nets = _halves(critic.q_networks)
        self.targets: list[nn.Module] = list(target.q_networks)
        self._parameters = [_parameters(nets) for nets in self._nets]
        self._ids = [tuple(map(id, parameters)) for parameters in self._parameters]
        self._followers = _parameters(self.targets)
        self._steps = [AdamSteps(critic.optimizer, half) for half in self._parameters if half]

    def refresh(self) -> list[tuple[int, ...] | None]:
        """See :meth:`AdamSteps.refresh`; of both sides."""
        return [steps.refresh() for steps in self._steps]

    def values_of_targets(self, features: Tensor, actions: Tensor) -> list[Tensor]:
        """Return what all targets give, each of shape (batch, 1); to be recorded by the caller.

        Args:
            features: Of the next observations, shape (batch, features).
            actions: The next ones, shape (batch, actions).
        """
        inputs = torch.cat([features, actions], dim=1)
        return [net(inputs) for net in self.targets]

    def learn(
        self, side: int, inputs: tuple[Tensor, Tensor], aim: Aim, factor: float
    ) -> list[Tensor]:
        """Make a step of a side's critics.

        Args:
            side: 0 or 1.
            inputs: Features and actions, shapes (batch, features) and (batch, actions).
            aim: Gives the values to reach.
            factor: Of the mean squared errors.

        Returns:
            The critics' mean squared errors.
        """
        nets, parameters = self._nets[side], self._parameters[side]

        def gradients(features: Tensor, actions: Tensor, *more: Tensor) -> list[Tensor]:
            with torch.no_grad():
                aims = aim.function(*more)
                inputs = torch.cat([features, actions], dim=1)
            losses = [nn.functional.mse_loss(net(inputs), aims) for net in nets]
            total = factor * sum(losses)
            return [*(loss.detach() for loss in losses), *torch.autograd.grad(total, parameters)]  # type: ignore[arg-type]

        key = ("learn", factor, aim.key)
        results = self._run(side, key, gradients, [*inputs, *aim.inputs])
        if nets:
            self._steps[side].step(results[len(nets) :])
        return results[: len(nets)]

    def judge(self, side: int, features: Tensor, actions: Tensor) -> Judgement:
        """Return what a side's critics say of actions; their weights get no gradients.

        Args:
            side: 0 or 1.
            features: Shape (batch, features).
            actions: Shape (batch, actions).
        """
        nets = self._nets[side]

        def values_and_slopes(features: Tensor, actions: Tensor) -> list[Tensor]:
            leaf = actions.detach().requires_grad_()
            values = [net(torch.cat([features, leaf], dim=1)) for net in nets]
            slopes = [torch.autograd.grad(-value.mean(), leaf)[0] for value in values]
            return [*(value.detach() for value in values), *slopes]

        results = self._run(side, "judge", values_and_slopes, [features, actions])
        return Judgement(results[: len(nets)], results[len(nets) :])

    def follow(self, tau: float) -> None:
        """Move all targets a share ``tau`` of the way to the critics."""
        parameters = [parameter for half in self._parameters for parameter in half]
        follow(parameters, self._followers, tau)

    def _run(
        self,
        side: int,
        key: Hashable,
        function: Callable[..., list[Tensor]],
        inputs: Sequence[Tensor],
    ) -> list[Tensor]:
        nets = self._nets[side]
        if not nets:
            return []
        return self._programs.get((key, self._ids[side]), function, inputs, nets)(*inputs)


class WholeCritics:
    """Critics that learn the features they see: all in one, without lanes and programs."""

    def __init__(self, critic: ContinuousCritic, target: ContinuousCritic) -> None:
        """Take the networks of an algorithm."""
        self._critic = critic
        self._parameters = list(critic.parameters())
        self._followers = list(target.parameters())
        self._steps = AdamSteps(critic.optimizer, self._parameters)

    def refresh(self) -> list[tuple[int, ...] | None]:
        """See :meth:`AdamSteps.refresh`."""
        return [self._steps.refresh()]

    def learn(self, seen: PyTorchObs, actions: Tensor, aim: Aim, factor: float) -> Tensor:
        """Make a step; return the sum of the critics' mean squared errors.

        Args:
            seen: Observations.
            actions: Shape (batch, actions).
            aim: Gives the values to reach.
            factor: Of the mean squared errors.
        """
        with torch.no_grad():
            aims = aim.function(*aim.inputs)
        losses = [nn.functional.mse_loss(value, aims) for value in self._critic(seen, actions)]
        total = torch.stack(losses).sum()
        self._steps.step(list(torch.autograd.grad(factor * total, self._parameters)))
        return total.detach()

    def follow(self, tau: float) -> None:
        """Move all targets a share ``tau`` of the way to the critics."""
        follow(self._parameters, self._followers, tau)


def lowest(values: Sequence[Tensor]) -> Tensor:
    """Return the lowest of several values of each transition, shape (batch, 1)."""
    return torch.cat(list(values), dim=1).min(dim=1, keepdim=True)[0]


def slope_of_lowest(values: Sequence[Tensor], slopes: Sequence[Tensor]) -> Tensor:
    """Return the gradient of minus the mean of the lowest values, with respect to the actions.

    Args:
        values: Of each critic, shape (batch, 1).
        slopes: Of each critic, see :class:`Judgement`.
    """
    chosen = torch.cat(list(values), dim=1).min(dim=1)[1]
    return torch.stack(list(slopes))[chosen, torch.arange(len(chosen), device=chosen.device)]


def _halves(nets: list[nn.Module]) -> tuple[list[nn.Module], list[nn.Module]]:
    middle = (len(nets) + 1) // 2
    return nets[:middle], nets[middle:]


def _parameters(nets: list[nn.Module]) -> list[nn.Parameter]:
    return [parameter for net in nets for parameter in net.parameters()]
