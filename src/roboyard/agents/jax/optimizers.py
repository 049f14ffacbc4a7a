"""Adam, between torch's optimisers and JAX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

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
        beta1, beta2 = group["betas"]
        self._scale = optax.scale_by_adam(beta1, beta2, group["eps"])
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
        """Return the parameters and the memory after one step."""
        state = optax.ScaleByAdamState(*moments)
        updates, state = self._scale.update(gradients, state)
        moved = {
            name: value - learning_rate * (updates[name] + self._decay * value)
            for name, value in parameters.items()
        }
        return moved, Moments(state.count, state.mu, state.nu)

    def _moment(self, state: Mapping[str, torch.Tensor], name: str, key: str) -> jax.Array:
        if not state:
            return np.zeros(self._tensors[name].shape, np.float32)  # type: ignore[return-value]
        return state[key].numpy().copy()  # type: ignore[return-value]


def clip(gradients: Parameters, max_norm: float) -> Parameters:
    """Scale gradients down to a largest global norm, as ``torch.nn.utils.clip_grad_norm_``."""
    norm = jnp.sqrt(sum(jnp.square(gradient).sum() for gradient in gradients.values()))
    scale = jnp.minimum(max_norm / (norm + 1e-6), 1.0)
    return {name: gradient * scale for name, gradient in gradients.items()}
