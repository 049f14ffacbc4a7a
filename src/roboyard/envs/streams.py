"""Global random generators for each environment alone.

Some environments draw from ``random``, ``np.random`` or torch's generator instead of their own.
Each copy then gets states of its own of these, which are swapped in for its calls: what it draws
depends on its seed alone, and can be saved.
"""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

WATCHED: Final = 200
"""Calls in which it is found out which generators an environment draws from; swapping them all
takes tens of microseconds."""


class _Source(NamedTuple):
    get: Callable[[], Any]
    put: Callable[[Any], None]
    seed: Callable[[int], None]


def _get_python() -> list[Any]:
    version, words, gauss = random.getstate()
    return [version, np.array(words, np.uint32), gauss]


def _put_python(state: Any) -> None:  # noqa: ANN401
    version, words, gauss = state
    random.setstate((version, tuple(words.tolist()), gauss))


def _get_torch() -> Any:  # noqa: ANN401
    return sys.modules["torch"].get_rng_state().numpy()


def _put_torch(state: Any) -> None:  # noqa: ANN401
    torch = sys.modules["torch"]
    torch.set_rng_state(torch.from_numpy(np.array(state)))


def _seed_torch(seed: int) -> None:
    sys.modules["torch"].default_generator.manual_seed(seed)


_SOURCES: Final = {
    "python": _Source(_get_python, _put_python, random.seed),
    "numpy": _Source(
        lambda: dict(np.random.get_state(legacy=False)), np.random.set_state, np.random.seed
    ),
    "torch": _Source(_get_torch, _put_torch, _seed_torch),
}


def seed_globals(seed: int) -> None:
    """Seed the global generators of this process; torch's only if something has imported it."""
    for name in _present():
        _SOURCES[name].seed(seed)


class GlobalStreams:
    """The global generators as one environment sees them."""

    def __init__(self) -> None:
        """Begin without any; they come with the first seed."""
        self._states: dict[str, Any] = {}
        self._used: set[str] = set()
        self._left = 0

    @property
    def is_needed(self) -> bool:
        """Whether calls have to be made within :meth:`lent`."""
        return bool(self._left or self._used)

    @property
    def used(self) -> tuple[str, ...]:
        """Which generators the environment was seen to draw from, sorted."""
        return tuple(sorted(self._used))

    def seed(self, seed: int) -> None:
        """Begin anew, and find out again which generators are drawn from."""
        with _kept(_present()):
            seed_globals(seed)
            self._states = {name: _SOURCES[name].get() for name in _present()}
        self._left = WATCHED

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Let what runs inside draw from the environment's own states."""
        names = [name for name in self._states if self._left or name in self._used]
        with _kept(names):
            for name in names:
                _SOURCES[name].put(self._states[name])
            try:
                yield
            finally:
                self._take(names)

    def get_state(self) -> dict[str, Any]:
        """Return what snapshots need."""
        return {"states": dict(self._states), "used": sorted(self._used), "left": self._left}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`get_state` returned."""
        self._states = dict(state["states"])
        self._used = set(state["used"])
        self._left = state["left"]

    def is_at(self, state: Mapping[str, Any]) -> bool:
        """Return whether the generators that are drawn from stand where they stood."""
        return all(_same(self._states.get(name), state["states"][name]) for name in self._used)

    def _take(self, names: list[str]) -> None:
        for name in names:
            now = _SOURCES[name].get()
            if not _same(now, self._states[name]):
                self._used.add(name)
                self._states[name] = now
        self._left = max(self._left - 1, 0)


@contextlib.contextmanager
def _kept(names: list[str]) -> Iterator[None]:
    states = {name: _SOURCES[name].get() for name in names}
    try:
        yield
    finally:
        for name, state in states.items():
            _SOURCES[name].put(state)


def _present() -> list[str]:
    # Torch is not imported for it: workers do without, unless their environments need it.
    return [name for name in _SOURCES if name != "torch" or "torch" in sys.modules]


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(one, other)
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
