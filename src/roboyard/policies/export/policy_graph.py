"""A whole policy as one torch module: normalisation, network, squashing, clipping, scaling."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from roboyard.agents.spaces import network_space
from roboyard.policies.export.sampling import Head, Memory, Observation, head_of, is_recurrent
from roboyard.policies.loaded import LoadedPolicy
from roboyard.policies.runtime.normalizer import ObservationNormalizer
from roboyard.policies.spaces import AnySpace


class InputStage(nn.Module):
    """From one array of the environment's observation to what the network reads."""

    mean: Tensor
    std: Tensor

    def __init__(self, key: str, space: AnySpace, normalizer: ObservationNormalizer | None) -> None:
        """Take over the statistics of one key.

        Args:
            key: Of a Dict space; empty where the observation is one array.
            space: Of that array, after normalisation.
            normalizer: The policy's, if it has one.
        """
        super().__init__()
        # The same object comes back where no image has to be turned.
        self.turned = network_space(space) is not space
        self.clip: float | None = None
        if normalizer is not None and key in normalizer.mean:
            self.clip = normalizer.clip
            std = np.sqrt(normalizer.var[key] + normalizer.epsilon)
            # In double precision, as NumPy computes it: then every bit is the same.
            self.register_buffer("mean", torch.from_numpy(normalizer.mean[key].copy()))
            self.register_buffer("std", torch.from_numpy(np.asarray(std)))

    def forward(self, value: Tensor) -> Tensor:
        """Normalise and put image channels first."""
        if self.clip is not None:
            value = ((value.double() - self.mean) / self.std).clamp(-self.clip, self.clip).float()
        return value.permute(0, 3, 1, 2) if self.turned else value


class OutputStage(nn.Module):
    """From the network's answer to an action of the action space."""

    low: Tensor
    high: Tensor

    def __init__(self, space: AnySpace, *, squashed: bool) -> None:
        super().__init__()
        self.shape = tuple(space.shape or ())
        self.squashed = squashed
        self.bounded = isinstance(space, spaces.Box)
        if isinstance(space, spaces.Box):
            dtype = np.result_type(np.float32, space.low.dtype)
            self.register_buffer("low", torch.from_numpy(space.low.astype(dtype)))
            self.register_buffer("high", torch.from_numpy(space.high.astype(dtype)))

    def forward(self, action: Tensor) -> Tensor:
        """Scale or clip, as stable_baselines3's ``predict`` does."""
        action = action.reshape(-1, *self.shape)
        if not self.bounded:
            return action
        if self.squashed:
            return self.low + 0.5 * (action + 1.0) * (self.high - self.low)
        return torch.minimum(torch.maximum(action.to(self.low.dtype), self.low), self.high)


class PolicyGraph(nn.Module):
    """All of a policy; inputs and outputs are tensors in the order of ``inputs``."""

    def __init__(self, loaded: LoadedPolicy) -> None:
        """Wrap a policy; its network is shared, not copied."""
        super().__init__()
        policy = loaded.policy
        space = loaded.observation_space
        seen = loaded.normalizer.output_space(space) if loaded.normalizer is not None else space
        parts = dict(seen.spaces) if isinstance(seen, spaces.Dict) else {"": seen}
        self.keys = tuple(parts)
        self.stages = nn.ModuleList(
            InputStage(key, part, loaded.normalizer) for key, part in parts.items()
        )
        self.head: Head = head_of(policy)
        self.recurrent = is_recurrent(policy)
        self.output = OutputStage(loaded.action_space, squashed=policy.squash_output)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the actions and the recurrent state after them."""
        rest = list(inputs)
        arrays = [stage(rest.pop(0)) for stage in self.stages]
        memory = Memory(rest.pop(0), rest.pop(0), rest.pop(0)) if self.recurrent else None
        noise = rest.pop(0) if self.head.noise is not None else None
        observation: Observation = dict(zip(self.keys, arrays, strict=True))
        if self.keys == ("",):
            observation = arrays[0]
        chosen = self.head(observation, memory, noise)
        return (self.output(chosen.action), *chosen.state)
