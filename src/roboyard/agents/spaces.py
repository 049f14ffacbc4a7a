"""Observation spaces as networks see them: image channels come first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.vec_env import VecEnv, VecTransposeImage

AnySpace = spaces.Space[Any]
"""Any Gymnasium space."""


def network_space(observation_space: AnySpace) -> AnySpace:
    """Return the space with image channels first, as the agent's own wrapper makes it."""
    if isinstance(observation_space, spaces.Dict):
        parts = [(key, network_space(space)) for key, space in observation_space.spaces.items()]
        return spaces.Dict(OrderedDict(parts))  # Ordered, so that Dict does not sort the keys.
    if (
        isinstance(observation_space, spaces.Box)
        and is_image_space(observation_space)
        and not is_image_space_channels_first(observation_space)
    ):
        return VecTransposeImage.transpose_space(observation_space)
    return observation_space


def channels_first(env: VecEnv) -> VecEnv:
    """Wrap environments whose images have their channels last; others are returned as they are.

    An agent does this itself, but outside of a ``VecNormalize``, and a replay buffer that stores
    observations as they were before normalisation then gets images of the wrong shape. So wrap
    before normalising.
    """
    if network_space(env.observation_space) == env.observation_space:
        return env
    return VecTransposeImage(env)


def keys_to_normalize(observation_space: AnySpace) -> list[str] | None:
    """Return the keys of a Dict whose entries are worth normalising: numbers, not images.

    None stands for an observation that is one array.
    """
    if not isinstance(observation_space, spaces.Dict):
        return None
    return [
        key
        for key, space in observation_space.spaces.items()
        if isinstance(space, spaces.Box) and not is_image_space(space)
    ]


def has_images(space: AnySpace) -> bool:
    """Return whether observations are images, or dictionaries with some."""
    if isinstance(space, spaces.Dict):
        return any(has_images(part) for part in space.values())
    return is_image_space(space)
