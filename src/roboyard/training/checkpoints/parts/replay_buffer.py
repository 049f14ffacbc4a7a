"""The replay buffer of an off-policy algorithm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer

from roboyard.training.checkpoints.manifest import FileFacts
from roboyard.training.checkpoints.parts.base import AnyArray, read_arrays, write_arrays
from roboyard.training.checkpoints.parts.ring_log import Columns, RingLog

_STREAMED = {"observations", "next_observations", "actions", "rewards", "dones", "timeouts"}


class ReplayPart:
    """The filled part of the replay buffer, of whichever class it is.

    Every array of numbers that the buffer owns is saved, so that dictionaries of
    observations, hindsight's episode bounds and a user's own columns are covered. Of those
    with a row for each transition, only what is new is written.
    """

    def __init__(self, algorithm: BaseAlgorithm) -> None:
        """Own the replay buffer of ``algorithm``, if it has one; it must still be empty."""
        buffer = getattr(algorithm, "replay_buffer", None)
        self._algorithm = algorithm
        self._buffer: ReplayBuffer | None = buffer
        self._log: RingLog | None = None
        if buffer is not None:
            self._log = RingLog(_columns(buffer), buffer.buffer_size)

    def save(self, folder: Path) -> Mapping[str, FileFacts]:
        """Write ``replay.npz`` and ``replay.json``, and a segment with what is new."""
        if self._buffer is None or self._log is None:
            return {}
        position = np.asarray([self._buffer.pos, self._buffer.full], dtype=np.int64)
        others = {name: array for name, array in _arrays(self._buffer) if not self._is_row(array)}
        write_arrays(folder / "replay.npz", {"position": position, **others})
        total = self._algorithm.num_timesteps // self._algorithm.n_envs
        return self._log.save(folder, self._buffer.pos, total, self._filled())

    def load(self, folder: Path) -> None:
        """Fill the buffer as it was."""
        if self._buffer is None or self._log is None:
            return
        arrays = read_arrays(folder / "replay.npz")
        position, full = arrays.pop("position")
        self._buffer.pos, self._buffer.full = int(position), bool(full)
        for name, array in _arrays(self._buffer):
            if not self._is_row(array) and array.shape:
                array[...] = arrays[name]
        self._log.load(folder)

    def _is_row(self, array: AnyArray) -> bool:
        assert self._buffer is not None
        return _has_rows(array, self._buffer.buffer_size)

    def _filled(self) -> int:
        assert self._buffer is not None
        size = self._buffer.buffer_size
        # One row more: the memory-saving variant keeps the next observation there.
        return size if self._buffer.full else min(self._buffer.pos + 1, size)


def _columns(buffer: ReplayBuffer) -> Columns:
    rows = {name: array for name, array in _arrays(buffer) if _has_rows(array, buffer.buffer_size)}
    streamed = {name: array for name, array in rows.items() if name.split("/")[0] in _STREAMED}
    return Columns(streamed, {name: rows[name] for name in rows.keys() - streamed.keys()})


def _has_rows(array: AnyArray, size: int) -> bool:
    return bool(array.shape) and len(array) == size


def _arrays(buffer: ReplayBuffer) -> Iterator[tuple[str, AnyArray]]:
    """Yield the buffer's arrays of numbers, dictionaries flattened."""
    for name, value in vars(buffer).items():
        entries: dict[str, Any] = value if isinstance(value, dict) else {"": value}
        for key, array in entries.items():
            if isinstance(array, np.ndarray) and array.dtype != object:
                yield (f"{name}/{key}" if key else name), array
