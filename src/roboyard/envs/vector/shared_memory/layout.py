"""Where each array lies in the memory that parent and workers share.

The file starts with one page of progress counters, one per worker, mapped before anything is
known about the environments; the arrays follow once the spaces are known.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from roboyard.errors import ConfigError

ObservationKey: TypeAlias = str | int | None
"""A key of a dictionary, a position in a tuple, or None for a plain observation."""

PROGRESS_BYTES = 4096
MAX_WORKERS = PROGRESS_BYTES // 4
_ALIGNMENT = 64  # a cache line


class Slot(NamedTuple):
    """One array in the shared memory."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    offset: int
    """Bytes from the start of the file."""


class Layout(NamedTuple):
    """All arrays, each with one row per environment."""

    observations: dict[ObservationKey, Slot]
    actions: Slot | None
    """None where actions are not one array; they then travel as messages."""
    rewards: Slot
    dones: Slot
    size: int
    """Bytes of the whole file."""


class SharedArrays(NamedTuple):
    """The arrays of a layout, mapped; they keep the memory alive."""

    observations: dict[ObservationKey, NDArray[np.generic]]
    actions: NDArray[np.generic] | None
    rewards: NDArray[np.float32]
    dones: NDArray[np.bool_]


def observation_parts(space: Space[object]) -> Mapping[ObservationKey, Space[object]]:
    """Return the arrays that an observation consists of.

    Raises:
        ConfigError: Some part is not an array of fixed shape, or is nested deeper than one level.
    """
    parts: dict[ObservationKey, Space[object]]
    if isinstance(space, spaces.Dict):
        parts = {key: part for key, part in space.spaces.items()}
    elif isinstance(space, spaces.Tuple):
        parts = dict(enumerate(space.spaces))
    else:
        parts = {None: space}
    for key, part in parts.items():
        if part.shape is None or part.dtype is None or isinstance(part, spaces.Dict | spaces.Tuple):
            where = "" if key is None else f" at {key!r}"
            raise ConfigError(
                f"observation space{where} is {type(part).__name__}; allowed are Box, Discrete, "
                "MultiDiscrete and MultiBinary, or one Dict or Tuple of them. "
                "Flatten it with a wrapper."
            )
    return parts


def plan(observation_space: Space[object], action_space: Space[object], num_envs: int) -> Layout:
    """Lay out the arrays for ``num_envs`` environments.

    Raises:
        ConfigError: The observation space does not consist of arrays.
    """
    end = PROGRESS_BYTES

    def place(shape: tuple[int, ...], dtype: object) -> Slot:
        nonlocal end
        slot = Slot((num_envs, *shape), np.dtype(dtype), end)  # type: ignore[call-overload]
        size = slot.dtype.itemsize * int(np.prod(slot.shape, dtype=np.int64))
        end += -(-size // _ALIGNMENT) * _ALIGNMENT
        return slot

    parts = observation_parts(observation_space)
    observations = {key: place(part.shape or (), part.dtype) for key, part in parts.items()}
    one_array = action_space.shape is not None and action_space.dtype is not None
    actions = place(action_space.shape or (), action_space.dtype) if one_array else None
    rewards, dones = place((), np.float32), place((), np.bool_)
    return Layout(observations, actions, rewards, dones, end)


def create_memory() -> int:
    """Return the descriptor of a new nameless file in memory, which no crash can leave behind."""
    if hasattr(os, "memfd_create"):
        memory = os.memfd_create("roboyard", os.MFD_CLOEXEC)
    else:  # a file that is already deleted serves the same on other systems
        with tempfile.TemporaryFile() as file:
            memory = os.dup(file.fileno())
    try:
        os.ftruncate(memory, PROGRESS_BYTES)
    except OSError:
        os.close(memory)
        raise
    return memory


def reserve(memory: int, size: int) -> None:
    """Grow the file to ``size`` bytes, with the pages really there where the system can.

    Raises:
        ConfigError: There is not that much memory.
    """
    try:
        os.ftruncate(memory, size)
        with contextlib.suppress(AttributeError):  # not on every system
            # Without it a full memory file system would end the run by SIGBUS in mid-step.
            os.posix_fallocate(memory, 0, size)
    except OSError as error:
        raise ConfigError(
            f"{size / 2**20:.0f} MiB of shared memory for observations are not to be had "
            f"({error.strerror}). Use fewer env.num_envs or smaller observations."
        ) from error


def map_progress(memory: int) -> NDArray[np.int32]:
    """Map the page in which each worker notes the environment it is busy with."""
    return np.frombuffer(mmap.mmap(memory, PROGRESS_BYTES), dtype=np.int32)


def map_arrays(memory: int, layout: Layout) -> SharedArrays:
    """Map the arrays of a layout."""
    buffer = mmap.mmap(memory, layout.size)

    def view(slot: Slot) -> NDArray[np.generic]:
        count = int(np.prod(slot.shape, dtype=np.int64))
        flat = np.frombuffer(buffer, slot.dtype, count, slot.offset)
        return flat.reshape(slot.shape)

    return SharedArrays(
        observations={key: view(slot) for key, slot in layout.observations.items()},
        actions=None if layout.actions is None else view(layout.actions),
        rewards=view(layout.rewards),  # type: ignore[arg-type]
        dones=view(layout.dones),  # type: ignore[arg-type]
    )


def blocks(num_envs: int, workers: int) -> list[range]:
    """Split environments into contiguous blocks whose sizes differ by at most one.

    Example:
        >>> blocks(5, 2)
        [range(0, 3), range(3, 5)]
    """
    small, larger = divmod(num_envs, workers)
    starts = [worker * small + min(worker, larger) for worker in range(workers + 1)]
    return [range(start, stop) for start, stop in pairwise(starts)]
