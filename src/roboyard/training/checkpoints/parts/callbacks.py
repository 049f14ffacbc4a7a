"""What the run's callbacks and a user's algorithm remember."""

from __future__ import annotations

import dis
import types
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from pydantic import JsonValue
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from roboyard.envs.memory import read_memory, write_memory
from roboyard.sim.snapshot import pack, unpack
from roboyard.training.checkpoints.parts.base import read_json, write_json
from roboyard.training.checkpoints.parts.loop import COUNTERS


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


LIBRARIES: Final = ("roboyard.", "stable_baselines3.", "sb3_contrib.", "torch.")
"""Beginnings of the names of modules whose classes the other parts know."""
_ALGORITHM: Final = "memory of an algorithm"
_ALGORITHM_FILE: Final = "algorithm.bin"
_OF_THE_LOOP: Final = {
    "start_time",
    "_num_timesteps_at_start",
    "_total_timesteps",
    *COUNTERS,
    "threads",
}


class AlgorithmPart:
    """What an algorithm keeps beyond what its library's loop does.

    An algorithm of the user's offers ``state()``, a dictionary of numbers, texts, NumPy arrays,
    and lists and dictionaries of these, and ``load_state(state)``. Settings that were changed
    since the start, by a callback such as one that anneals ``ent_coef``, are kept as well.
    """

    def __init__(self, algorithm: BaseAlgorithm) -> None:
        """Own the memory of ``algorithm``; nothing was trained yet."""
        self._algorithm = algorithm
        self._before = self._settings()

    def save(self, folder: Path) -> None:
        """Write ``algorithm.bin``."""
        settings = self._settings()
        changed = {n: value for n, value in settings.items() if self._before.get(n) != value}
        state = {"settings": changed, "memory": read_memory(self._algorithm)}
        (folder / _ALGORITHM_FILE).write_bytes(pack(_ALGORITHM, state))

    def load(self, folder: Path) -> None:
        """Give settings and memory back."""
        path = folder / _ALGORITHM_FILE
        if not path.exists():  # written by an older version
            return
        state = unpack(_ALGORITHM, path.read_bytes())
        for name, value in state["settings"].items():
            setattr(self._algorithm, name, value)
        write_memory(self._algorithm, state["memory"])

    def _settings(self) -> dict[str, bool | int | float | str]:
        ignored = own_names(self._algorithm) | _OF_THE_LOOP
        found = vars(self._algorithm).items()
        plain = {n: value for n, value in found if isinstance(value, bool | int | float | str)}
        return {name: value for name, value in plain.items() if name not in ignored}


def own_names(algorithm: BaseAlgorithm) -> set[str]:
    """Return the attributes of an algorithm that no class of the libraries sets."""
    known: set[str] = set()
    for cls in type(algorithm).__mro__:
        if f"{cls.__module__}.".startswith(LIBRARIES):
            known |= vars(cls).keys()
            for value in vars(cls).values():
                known |= _stored(getattr(value, "__wrapped__", value))
    return vars(algorithm).keys() - known


def _stored(function: object) -> set[str]:
    """Return the names of attributes that a function, or a property's functions, set."""
    if isinstance(function, property):
        return _stored(function.fget) | _stored(function.fset)
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if not isinstance(code, types.CodeType):
        return set()
    return {str(i.argval) for i in dis.get_instructions(code) if i.opname == "STORE_ATTR"}
