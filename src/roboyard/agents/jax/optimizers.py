"""Adam, between torch's optimisers and JAX."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import lax

from roboyard.errors import ConfigError

Parameters = dict[str, jax.Array]
"""The tensors that one optimiser moves, by name."""


class Moments(NamedTuple):
    """What Adam remembers (Kingma & Ba 2015)."""

    steps: jax.Array
    mu: Parameters
    nu: Parameters


class Adam:
    """One of torch's Adam or AdamW optimisers, as a function of its state."""

    def __init__(self, optimizer: torch.optim.Optimizer, names: Mapping[int, str]) -> None:
        """Mirror ``optimizer``.

        Args:
            optimizer: With one group of parameters.
            names: Of the parameters, by ``id``.

        Raises:
            ConfigError: It is another optimiser.
        """
        if type(optimizer) not in (torch.optim.Adam, torch.optim.AdamW):
            raise ConfigError(
                f"agent.backend jax has no {type(optimizer).__name__}. It has Adam and AdamW; "
                "use agent.backend: torch."
            )
        (group,) = optimizer.param_groups
        self.optimizer = optimizer
        """The mirrored one."""
        self._tensors = {names[id(tensor)]: tensor for tensor in group["params"]}
        self._beta1, self._beta2 = group["betas"]
        self._epsilon = group["eps"]
        decays = isinstance(optimizer, torch.optim.AdamW)
        self._decay = float(group["weight_decay"]) if decays else 0.0

    @property
    def names(self) -> Sequence[str]:
        """Names of the tensors that it moves."""
        return tuple(self._tensors)

    def read(self) -> Moments:
        """Return a copy of the torch optimiser's memory."""
        known = self.optimizer.state  # empty before the first step
        states = {name: known.get(tensor, {}) for name, tensor in self._tensors.items()}
        counts = [int(state["step"]) for state in states.values() if state]
        return Moments(
            np.int32(counts[0] if counts else 0),  # type: ignore[arg-type]
            {name: self._moment(state, name, "exp_avg") for name, state in states.items()},
            {name: self._moment(state, name, "exp_avg_sq") for name, state in states.items()},
        )

    def write(self, moments: Moments) -> None:
        """Put a memory into the torch optimiser, which has none before its first step."""
        if not moments.steps:
            return
        for name, tensor in self._tensors.items():
            self.optimizer.state[tensor] = {
                "step": torch.tensor(float(moments.steps), dtype=torch.float32),
                "exp_avg": torch.from_numpy(np.array(moments.mu[name])),
                "exp_avg_sq": torch.from_numpy(np.array(moments.nu[name])),
            }

    def step(
        self,
        parameters: Parameters,
        gradients: Parameters,
        moments: Moments,
        learning_rate: jax.Array,
    ) -> tuple[Parameters, Moments]:
        """Return the parameters and the memory after one step (Kingma & Ba 2015, section 2).

        The corrections of both means go into one number each, so that an entry costs one division
        and one root. On a CPU these take most of the time; ``optax`` divides three times.
        """
        steps = moments.steps + 1
        size = learning_rate / _grown(self._beta1, steps)
        spread = lax.rsqrt(_grown(self._beta2, steps))
        kept = 1.0 - learning_rate * self._decay
        moved, mu, nu = {}, {}, {}
        for name, value in parameters.items():
            slope = gradients[name]
            mu[name] = self._beta1 * moments.mu[name] + (1.0 - self._beta1) * slope
            nu[name] = self._beta2 * moments.nu[name] + (1.0 - self._beta2) * jnp.square(slope)
            change = size * mu[name] / (jnp.sqrt(nu[name]) * spread + self._epsilon)
            moved[name] = kept * value - change
        return moved, Moments(steps, mu, nu)

    def _moment(self, state: Mapping[str, torch.Tensor], name: str, key: str) -> jax.Array:
        if not state:
            return np.zeros(self._tensors[name].shape, np.float32)  # type: ignore[return-value]
        return state[key].numpy().copy()  # type: ignore[return-value]


def _grown(beta: float, steps: jax.Array) -> jax.Array:
    """Return 1 - beta^steps, of which single precision would leave little at the first steps."""
    return -jnp.expm1(steps * math.log(beta)) if beta else jnp.float32(1.0)


def clip(gradients: Parameters, max_norm: float) -> Parameters:
    """Scale gradients down to a largest global norm, as ``torch.nn.utils.clip_grad_norm_``."""
    norm = jnp.sqrt(sum(jnp.square(gradient).sum() for gradient in gradients.values()))
    scale = jnp.minimum(max_norm / (norm + 1e-6), 1.0)
    return {name: gradient * scale for name, gradient in gradients.items()}
