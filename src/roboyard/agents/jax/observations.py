"""Observations as networks read them, as ``stable_baselines3.common.preprocessing`` does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space

from roboyard.agents.spaces import AnySpace

Observations: TypeAlias = jax.Array | Mapping[str, "Observations"]
"""A batch of them: shape (batch, ...), or a dictionary of such arrays."""


def preprocess(observation: Observations, space: AnySpace) -> Observations:
    """Return floats: images in [0, 1], whole numbers one-hot.

    Args:
        observation: A batch.
        space: Of one observation.
    """
    if isinstance(space, spaces.Dict):
        assert isinstance(observation, Mapping)
        return {key: preprocess(observation[key], part) for key, part in space.spaces.items()}
    assert not isinstance(observation, Mapping)
    if isinstance(space, spaces.Discrete):
        return jax.nn.one_hot(observation.reshape(-1).astype(jnp.int32), int(space.n))
    if isinstance(space, spaces.MultiDiscrete):
        columns = observation.reshape(-1, len(space.nvec)).astype(jnp.int32)
        hot = [jax.nn.one_hot(columns[:, i], int(n)) for i, n in enumerate(np.ravel(space.nvec))]
        return jnp.concatenate(hot, axis=-1)
    floats = observation.astype(jnp.float32)
    return floats / 255.0 if is_image_space(space) else floats
