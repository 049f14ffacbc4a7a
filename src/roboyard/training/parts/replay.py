"""The replay buffer of an off-policy algorithm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer

from roboyard.training.parts.base import AnyArray, read_arrays, write_arrays


class ReplayPart:
    """The filled part of the replay buffer, of whichever class it is.

    Every array of numbers that the buffer owns is saved, so that dictionaries of
    observations, hindsight's episode bounds and a user's own columns are covered. Arrays as
    long as the buffer are cut to what is filled.
    """

    def __init__(self, algorithm: BaseAlgorithm) -> None:
        """Own the replay buffer of ``algorithm``, if it has one."""
        buffer = getattr(algorithm, "replay_buffer", None)
        self._buffer: ReplayBuffer | None = buffer

    def save(self, folder: Path) -> None:
        """Write ``replay.npz``."""
        if self._buffer is None:
            return
        filled = self._filled(self._buffer.pos, self._buffer.full)
        arrays = {
            name: array[:filled] if len(array.shape) and len(array) == self._size else array
            for name, array in _arrays(self._buffer)
        }
        position = np.asarray([self._buffer.pos, self._buffer.full], dtype=np.int64)
        write_arrays(folder / "replay.npz", {"position": position, **arrays})

    def load(self, folder: Path) -> None:
        """Fill the buffer as it was."""
        if self._buffer is None:
            return
        arrays = read_arrays(folder / "replay.npz")
        position, full = arrays.pop("position")
        self._buffer.pos, self._buffer.full = int(position), bool(full)
        for name, array in _arrays(self._buffer):
            if array.shape:
                array[: len(arrays[name])] = arrays[name]

    @property
    def _size(self) -> int:
        assert self._buffer is not None
        return self._buffer.buffer_size

    def _filled(self, position: int, full: bool) -> int:
        # One row more: the memory-saving variant keeps the next observation there.
        return self._size if full else min(position + 1, self._size)


def _arrays(buffer: ReplayBuffer) -> Iterator[tuple[str, AnyArray]]:
    """Yield the buffer's arrays of numbers, dictionaries flattened."""
    for name, value in vars(buffer).items():
        entries: dict[str, Any] = value if isinstance(value, dict) else {"": value}
        for key, array in entries.items():
            if isinstance(array, np.ndarray) and array.dtype != object:
                yield (f"{name}/{key}" if key else name), array
