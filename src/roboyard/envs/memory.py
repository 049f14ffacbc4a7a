"""What objects keep in attributes: read and written by a protocol, or found to have changed.

A wrapper, an environment, a callback or an algorithm offers its memory by two methods,
``state()`` and ``load_state(state)``, or by ``get_state()`` and ``set_state(state)``.
"""

from __future__ import annotations

import hashlib
import pickle
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import gymnasium
import numpy as np

AnyEnv = gymnasium.Env[Any, Any]

PROTOCOL: Final = (("state", "load_state"), ("get_state", "set_state"))
"""Pairs of methods that read and write a memory."""
_PLAIN: Final = (bool, int, float, str, bytes, np.ndarray, np.generic, type(None))
_MOMENTS: Final = ("mean", "var", "count")
_CLOCKS: Final = {"episode_start_time"}
_STATEFUL: Final = tuple(
    f"gymnasium.wrappers.{name}"
    for name in ("common", "stateful_observation", "stateful_reward", "stateful_action")
)
_DEEPEST: Final = 3


def offers_memory(owner: object) -> bool:
    """Return whether an object has the two methods."""
    return _pair(owner) is not None


def read_memory(owner: object) -> dict[str, Any] | None:
    """Return an object's memory, or None if it offers none.

    Of Gymnasium's own wrappers, which offer none, it is what their attributes hold.
    """
    pair = _pair(owner)
    if pair is not None:
        return dict(getattr(owner, pair[0])())
    return _attributes(owner) if _is_gymnasiums(owner) else None


def write_memory(owner: object, state: Mapping[str, Any] | None) -> None:
    """Put back what :func:`read_memory` returned."""
    if state is None:
        return
    pair = _pair(owner)
    if pair is not None:
        getattr(owner, pair[1])(dict(state))
    elif _is_gymnasiums(owner):
        for name, value in state.items():
            _put(owner, name, value)


def layers(env: AnyEnv) -> Iterator[AnyEnv]:
    """Return the wrappers of an environment from the outermost on, and the environment itself."""
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env
    yield env


def read_memories(owners: Iterable[object]) -> list[dict[str, Any] | None]:
    """Return the memory of each."""
    return [read_memory(owner) for owner in owners]


def write_memories(owners: Iterable[object], states: Iterable[Mapping[str, Any] | None]) -> None:
    """Put back what :func:`read_memories` returned."""
    for owner, state in zip(owners, states, strict=True):
        write_memory(owner, state)


class Changes:
    """Tells which attributes of an object are no longer what they were."""

    def __init__(self, owner: object, ignored: Iterable[str] = ()) -> None:
        """Remember what the attributes hold now, all but those that are ``ignored``."""
        self.owner = owner
        self._ignored = frozenset(ignored)
        self._before = self._fingerprints()

    def names(self) -> list[str]:
        """Return the names of attributes that changed, came or went, sorted."""
        now = self._fingerprints()
        every = sorted(self._before.keys() | now.keys())
        return [name for name in every if self._before.get(name) != now.get(name)]

    def _fingerprints(self) -> dict[str, bytes]:
        found = getattr(self.owner, "__dict__", {})
        return {n: fingerprint(value) for n, value in found.items() if n not in self._ignored}


def fingerprint(value: object, depth: int = 0) -> bytes:
    """Return bytes that differ if the value does.

    What cannot be pickled, such as files and locks, is looked into; what holds nothing to look
    at counts as the same for ever.
    """
    if isinstance(value, gymnasium.Env | gymnasium.Space) or (depth and callable(value)):
        return b""
    try:
        content = pickle.dumps(value, protocol=5)  # only looked at, never loaded
    except Exception:
        return _looked_into(value, depth)
    return hashlib.blake2b(content, digest_size=16).digest()


def _looked_into(value: object, depth: int) -> bytes:
    if depth >= _DEEPEST:
        return b""
    if isinstance(value, Mapping):
        parts = {repr(key): item for key, item in value.items()}
    elif isinstance(value, list | tuple | deque | set):
        parts = {str(index): item for index, item in enumerate(value)}
    else:
        parts = dict(getattr(value, "__dict__", {}))
    rows = [name.encode() + fingerprint(item, depth + 1) for name, item in sorted(parts.items())]
    return hashlib.blake2b(b"".join(rows), digest_size=16).digest()


def _pair(owner: object) -> tuple[str, str] | None:
    for pair in PROTOCOL:
        if all(callable(getattr(type(owner), name, None)) for name in pair):
            return pair
    return None


def _is_gymnasiums(owner: object) -> bool:
    return type(owner).__module__ in _STATEFUL


def _attributes(owner: object) -> dict[str, Any]:
    kept = {name: _packed(value) for name, value in vars(owner).items() if name not in _CLOCKS}
    return {name: value for name, value in kept.items() if value is not None}


def _packed(value: object) -> dict[str, Any] | None:
    """Return an attribute in a form that snapshots hold; None if it is of no such form."""
    if isinstance(value, np.random.Generator):
        return {"generator": value.bit_generator.state}
    if isinstance(value, deque):
        return {"deque": list(value)} if _is_plain(list(value)) else None
    if all(hasattr(value, name) for name in _MOMENTS) and not isinstance(value, np.ndarray):
        return {"moments": {name: getattr(value, name) for name in _MOMENTS}}
    return {"value": value} if _is_plain(value) else None


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return isinstance(value, _PLAIN)


def _put(owner: object, name: str, packed: Mapping[str, Any]) -> None:
    ((form, value),) = packed.items()
    if form == "generator":
        getattr(owner, name).bit_generator.state = value
    elif form == "deque":
        queue = getattr(owner, name)
        queue.clear()
        queue.extend(value)
    elif form == "moments":
        for moment, number in value.items():
            setattr(getattr(owner, name), moment, number)
    else:
        setattr(owner, name, value)
