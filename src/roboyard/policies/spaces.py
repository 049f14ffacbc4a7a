"""Spaces as JSON and back, exactly: bounds, infinities, types and the order of keys."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from pydantic import JsonValue

from roboyard.errors import PolicyError

AnySpace = spaces.Space[Any]
"""Any Gymnasium space."""

MAX_ENTRIES = 10_000_000
"""Largest number of entries of one space, so that a file of a few bytes cannot fill the memory."""

_DTYPES = frozenset(
    {"bool", "float16", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)


def space_to_json(space: AnySpace) -> dict[str, JsonValue]:
    """Return a description from which ``space_from_json`` makes an equal space.

    Raises:
        PolicyError: The space is of a kind that a bundle cannot hold.
    """
    if isinstance(space, spaces.Box):
        low, high = _bounds_to_json(space.low), _bounds_to_json(space.high)
        shape: JsonValue = list(space.shape)
        return {"type": "box", "shape": shape, "dtype": str(space.dtype), "low": low, "high": high}
    if isinstance(space, spaces.Discrete):
        return {"type": "discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.MultiDiscrete):
        return {
            "type": "multi_discrete",
            "nvec": space.nvec.tolist(),
            "start": space.start.tolist(),
            "dtype": str(space.dtype),
        }
    if isinstance(space, spaces.MultiBinary):
        return {"type": "multi_binary", "shape": list(space.shape)}
    if isinstance(space, spaces.Dict):
        # A list of pairs, because the order of the keys is the order of the network's inputs.
        entries: JsonValue = [[key, space_to_json(part)] for key, part in space.spaces.items()]
        return {"type": "dict", "entries": entries}
    raise PolicyError(
        f"a policy bundle cannot hold the space {space}. "
        "Allowed: Box, Discrete, MultiDiscrete, MultiBinary, Dict."
    )


def space_from_json(value: object) -> AnySpace:
    """Return the space that a description stands for.

    Raises:
        PolicyError: The description is not one that ``space_to_json`` makes.
    """
    try:
        kind = value.get("type") if isinstance(value, Mapping) else None
        if not (isinstance(value, Mapping) and isinstance(kind, str) and kind in _READERS):
            raise ValueError(f"unknown kind of space, known are {', '.join(_READERS)}")
        with np.errstate(over="raise"):
            return _READERS[kind](value)
    except (ArithmeticError, AssertionError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PolicyError(f"the bundle's description of a space is wrong: {reason}.") from error


def _bounds_to_json(bounds: np.ndarray) -> JsonValue:
    """Return one number when all entries are the same, else a flat list."""
    flat = bounds.ravel().tolist()
    if flat and all(entry == flat[0] for entry in flat):
        return _number_to_json(flat[0])
    return [_number_to_json(entry) for entry in flat]


def _number_to_json(number: float) -> JsonValue:
    # JSON has no infinities; every finite float survives as its shortest decimal form.
    return number if math.isfinite(number) else str(number)


def _number_from_json(value: object) -> float:
    if value in ("inf", "-inf"):
        return float(str(value))
    if isinstance(value, bool | int | float):
        return value
    raise ValueError(f"{value!r} is not a number")


def _shape(value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise ValueError(f"shape {value!r} is not a list")
    shape = tuple(_positive(entry) for entry in value)
    if len(shape) > 32 or math.prod(shape) > MAX_ENTRIES:
        raise ValueError(f"shape {shape} is too large")
    return shape


def _positive(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_ENTRIES:
        raise ValueError(f"{value!r} is not a number from 1 to {MAX_ENTRIES}")
    return value


def _dtype(value: object) -> np.dtype[Any]:
    if value not in _DTYPES:
        raise ValueError(f"dtype {value!r} is not one of {', '.join(sorted(_DTYPES))}")
    return np.dtype(str(value))


def _bounds(value: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    if isinstance(value, list):
        entries = [_number_from_json(entry) for entry in value]
        return np.array(entries, dtype=dtype).reshape(shape)
    return np.full(shape, _number_from_json(value), dtype=dtype)


def _read_box(value: Mapping[str, object]) -> AnySpace:
    shape, dtype = _shape(value["shape"]), _dtype(value["dtype"])
    low, high = (_bounds(value[side], shape, dtype) for side in ("low", "high"))
    return spaces.Box(low, high, shape=shape, dtype=dtype.type)


def _read_discrete(value: Mapping[str, object]) -> AnySpace:
    return spaces.Discrete(_positive(value["n"]), start=_integer(value["start"]))


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is not an integer")
    return value


def _read_multi_discrete(value: Mapping[str, object]) -> AnySpace:
    dtype = _dtype(value["dtype"])
    counts, start = np.array(value["nvec"], dtype=dtype), np.array(value["start"], dtype=dtype)
    if not 0 < counts.size <= MAX_ENTRIES or counts.sum() > MAX_ENTRIES or counts.min() < 1:
        raise ValueError("nvec is empty, has an entry below 1, or is too large")
    return spaces.MultiDiscrete(counts, dtype=dtype.type, start=start)


def _read_multi_binary(value: Mapping[str, object]) -> AnySpace:
    shape = _shape(value["shape"])
    return spaces.MultiBinary(shape[0] if len(shape) == 1 else shape)


def _read_dict(value: Mapping[str, object]) -> AnySpace:
    entries = value["entries"]
    if not isinstance(entries, list) or not 0 < len(entries) <= 1000:
        raise ValueError("entries is not a list of 1 to 1000 pairs")
    parts: OrderedDict[str, AnySpace] = OrderedDict()
    for key, part in entries:
        if not isinstance(key, str) or key in parts:
            raise ValueError(f"key {key!r} is no text or is there twice")
        if isinstance(part, Mapping) and part.get("type") == "dict":
            raise ValueError(f"key {key!r} holds another Dict")
        parts[key] = space_from_json(part)
    return spaces.Dict(parts)


_READERS: dict[str, Callable[[Mapping[str, object]], AnySpace]] = {
    "box": _read_box,
    "discrete": _read_discrete,
    "multi_discrete": _read_multi_discrete,
    "multi_binary": _read_multi_binary,
    "dict": _read_dict,
}
