"""What the run's callbacks and a user's algorithm remember."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import JsonValue
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from roboyard.envs.memory import read_memory, write_memory
from roboyard.sim.snapshot import pack, unpack
from roboyard.training.parts.base import read_json, write_json


@runtime_checkable
class Remembers(Protocol):
    """A callback with a memory; a user's plain callback may offer the two methods too."""

    def state(self) -> Mapping[str, JsonValue]:
        """Return the memory as JSON values."""

    def load_state(self, state: Mapping[str, JsonValue]) -> None:
        """Take the memory back."""


class CallbacksPart:
    """The memory of every callback: best score, patience, when things are due next."""

    def __init__(self, callbacks: Sequence[BaseCallback]) -> None:
        """Own the memory of ``callbacks``."""
        self._callbacks: dict[str, BaseCallback] = {}
        seen: Counter[str] = Counter()
        for callback in callbacks:
            # By class, so that adding a progress bar does not move the others' memories.
            name = f"{type(callback).__module__}:{type(callback).__qualname__}"
            self._callbacks[f"{name}#{seen[name]}"] = callback
            seen[name] += 1

    def save(self, folder: Path) -> None:
        """Write ``callbacks.json``."""
        states = {
            name: {
                "calls": callback.n_calls,
                "state": dict(callback.state()) if isinstance(callback, Remembers) else {},
            }
            for name, callback in self._callbacks.items()
        }
        write_json(folder / "callbacks.json", states)

    def load(self, folder: Path) -> None:
        """Put every memory back; a callback that is new in this version starts afresh."""
        states: dict[str, Any] = read_json(folder / "callbacks.json")
        for name, callback in self._callbacks.items():
            if name not in states:
                continue
            callback.n_calls = states[name]["calls"]
            callback.num_timesteps = callback.model.num_timesteps
            if isinstance(callback, Remembers):
                callback.load_state(states[name]["state"])


class AlgorithmPart:
    """What an algorithm of the user's keeps beyond what stable-baselines3's algorithms do.

    It offers ``state()``, a dictionary of numbers, texts, NumPy arrays, and lists and dictionaries
    of these, and ``load_state(state)``.
    """

    def __init__(self, algorithm: BaseAlgorithm) -> None:
        """Own the memory of ``algorithm``."""
        self._algorithm = algorithm

    def save(self, folder: Path) -> None:
        """Write ``algorithm.bin``, if the algorithm offers a memory."""
        state = read_memory(self._algorithm)
        if state is not None:
            (folder / _ALGORITHM_FILE).write_bytes(pack(_ALGORITHM, state))

    def load(self, folder: Path) -> None:
        """Give the memory back."""
        path = folder / _ALGORITHM_FILE
        if path.exists():
            write_memory(self._algorithm, unpack(_ALGORITHM, path.read_bytes()))


_ALGORITHM = "memory of an algorithm"
_ALGORITHM_FILE = "algorithm.bin"
