"""Finding the first number that is not finite, and saying where it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm

from roboyard.agents.backends import refresh_policy
from roboyard.errors import TrainingError

AnyArray = NDArray[Any]

_ADVICE = {
    "observation": "Look at the environment's observation there (a division by zero, an "
    "unstable simulation?), or at its time step.",
    "reward": "Look at the environment's reward there.",
    "loss": "A smaller learning_rate or max_grad_norm, or normalised observations and rewards, "
    "usually help.",
}

_MAY_BE_NAN = ("train/explained_variance",)
"""What stable-baselines3 records as NaN where it is undefined: here, for equal returns."""


def check_observations(observations: object, step: int) -> None:
    """Check what the environments returned.

    Args:
        observations: Of all copies, shape (num_envs, ...), or a dictionary of such arrays.
        step: Control steps done.

    Raises:
        TrainingError: An entry is not finite; the message says which copy and entry.
    """
    entries = observations if isinstance(observations, dict) else {"": observations}
    for key, values in entries.items():
        array = np.asarray(values)
        if not _is_finite(array):
            raise _error("observation", array, step, key)


def check_terminal(observation: object, copy: int, step: int) -> None:
    """Check the last observation of an episode that has just ended.

    Raises:
        TrainingError: An entry is not finite; the message says which.
    """
    entries = observation if isinstance(observation, dict) else {"": observation}
    for key, values in entries.items():
        array = np.asarray(values)
        if not _is_finite(array):
            raise _error("observation", array[np.newaxis], step, key, first_copy=copy)


def check_rewards(rewards: AnyArray, step: int) -> None:
    """Check the rewards of all copies.

    Raises:
        TrainingError: One is not finite; the message says of which copy.
    """
    if not _is_finite(rewards):
        raise _error("reward", np.asarray(rewards), step, "")


def check_losses(recorded: Mapping[str, Any], step: int) -> None:
    """Check what the last update recorded.

    Raises:
        TrainingError: A loss is not finite; the message names it.
    """
    for name, value in recorded.items():
        if name in _MAY_BE_NAN:
            continue
        if name.startswith("train/") and isinstance(value, float) and not math.isfinite(value):
            raise TrainingError(f"{name} is {value} after step {step}. {_ADVICE['loss']}")


def check_parameters(algorithm: BaseAlgorithm) -> None:
    """Check every parameter of the networks.

    Raises:
        TrainingError: One is not finite; the message names it.
    """
    refresh_policy(algorithm)
    with torch.no_grad():
        # A sum is finite only if all entries are, and takes a fifth of the time to look at them.
        if all(parameter.sum().isfinite() for parameter in algorithm.policy.parameters()):
            return
    for name, parameter in algorithm.policy.named_parameters():
        if not torch.isfinite(parameter).all():
            raise TrainingError(
                f"parameter '{name}' of the policy is not finite after step "
                f"{algorithm.num_timesteps}. {_ADVICE['loss']}"
            )


def _is_finite(array: AnyArray) -> bool:
    # Counting takes half the time of all().
    return array.dtype.kind != "f" or np.count_nonzero(np.isfinite(array)) == array.size


def _error(kind: str, array: AnyArray, step: int, key: str, first_copy: int = 0) -> TrainingError:
    copy, *entry = (int(index) for index in np.argwhere(~np.isfinite(array))[0])
    value = array[(copy, *entry)]
    where = f"environment copy {first_copy + copy}"
    if key:
        where += f", '{key}'"
    if entry:
        where += f", entry {entry[0] if len(entry) == 1 else tuple(entry)}"
    return TrainingError(f"{kind} is {value} ({where}) at step {step}. {_ADVICE[kind]}")
