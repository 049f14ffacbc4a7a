"""What a policy's graph reads and writes, in NumPy alone: arrays, entries, state and noise."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from roboyard import json_text
from roboyard.errors import PolicyError

METADATA_KEY = "roboyard"
"""Key of the contract among the texts in an ONNX file."""
MAX_ENTRIES = 10_000_000
NOISES = ("normal", "gumbel", "logistic")
_DTYPES = frozenset(
    {"float16", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)


SLACK = 1e-5
"""How far an entry may lie outside of its bounds, as a share of the bound (at least of 1): rounding
to float32 moves values by about 1e-7 of themselves."""
_LARGEST = float(np.finfo(np.float64).max)


class ObservationError(PolicyError):
    """An observation does not fit the policy; the message names the entry."""

    exit_code = 2

    def __init__(self, message: str, *, entry: str | None = None) -> None:
        """Create the error.

        Args:
            message: What was given, what is allowed, what to do.
            entry: The entry or key that is wrong, if it is a single one.
        """
        super().__init__(message)
        self.entry = entry


class NotFiniteError(PolicyError):
    """The network's answer to an observation is not finite."""


class EntrySpec(NamedTuple):
    """One number of an array."""

    name: str
    """What it is, such as ``pole angle``; its index, such as ``[2]``, where nobody named it."""
    unit: str
    """Its unit, such as ``rad/s``; empty for pure numbers or when it is not known."""
    low: float
    """Smallest value; may be ``-inf``."""
    high: float
    """Largest value; may be ``inf``."""


class Limits(NamedTuple):
    """Smallest and largest values that are let through."""

    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class ArraySpec:
    """One array: an observation, one key of a Dict observation, or the action."""

    key: str
    """Key of a Dict observation; empty where the observation is one array."""
    kind: str
    """``box``, ``discrete``, ``multi_discrete`` or ``multi_binary``."""
    shape: tuple[int, ...]
    """Without the batch."""
    dtype: np.dtype[np.generic]
    """Element type."""
    low: np.ndarray
    """Smallest values, of the array's shape."""
    high: np.ndarray
    """Largest values, of the array's shape."""
    names: tuple[str, ...] = ()
    """Of the entries in C order; may be empty."""
    units: tuple[str, ...] = ()
    """Like ``names``."""

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @functools.cached_property
    def limits(self) -> Limits:
        """Between which values are let through, of the array's shape; all of them finite."""
        low, high = self.low, self.high
        if self.dtype.kind == "f":
            low = low - SLACK * np.maximum(1.0, np.abs(low))
            high = high + SLACK * np.maximum(1.0, np.abs(high))
        return Limits(np.maximum(low, -_LARGEST), np.minimum(high, _LARGEST))

    def entry(self, index: int) -> EntrySpec:
        """Return one entry; ``index`` counts in C order."""
        place = np.unravel_index(index, self.shape) if self.shape else ()
        name = self.names[index] if self.names else str([int(i) for i in place])
        unit = self.units[index] if self.units else ""
        return EntrySpec(name, unit, float(self.low.flat[index]), float(self.high.flat[index]))

    @property
    def entries(self) -> tuple[EntrySpec, ...]:
        """All entries in C order; made anew at each call."""
        return tuple(self.entry(index) for index in range(self.size))


class Noise(NamedTuple):
    """Random numbers that make a graph's action a sample."""

    distribution: str
    """``normal``, ``gumbel`` or ``logistic``, each in its standard form."""
    size: int
    """Numbers for each observation."""


@dataclass(frozen=True)
class Contract:
    """What goes into a policy and what comes out of it."""

    name: str
    """Name of the experiment that trained it."""
    algorithm: str
    """Algorithm that trained it."""
    observations: dict[str, ArraySpec] = field(compare=False)
    """By key of a Dict observation; under the empty key where it is one array."""
    action: ArraySpec = field(compare=False)
    """The action."""
    control_period_s: float | None
    """Time between two actions [s], where it is known."""
    state_shapes: tuple[tuple[int, ...], ...]
    """Recurrent state for one observation, (layers, 1, width); empty without memory."""
    noise: Noise | None
    """What a sampled action takes; None where the policy is always deterministic."""
    text: str
    """The JSON text that this was read from, which says more, such as the robot's joints."""

    @property
    def is_recurrent(self) -> bool:
        """Whether the policy remembers."""
        return bool(self.state_shapes)

    @property
    def is_dict(self) -> bool:
        """Whether an observation is a mapping of arrays."""
        return "" not in self.observations

    def to_dict(self) -> dict[str, object]:
        """Return the contract as JSON values, as it stands in the file."""
        value: dict[str, object] = json_text.loads(self.text)
        return value

    def input_name(self, key: str) -> str:
        """Return the name of the graph's input for one array of the observation."""
        return f"observation.{key}" if key else "observation"


def contract_from_text(text: str) -> Contract:
    """Read a contract from the text in an ONNX file.

    Raises:
        PolicyError: It is not one that this release writes.
    """
    try:
        value = json_text.loads(text)
        if value["format"] != "roboyard-onnx" or value["format_version"] != 1:
            raise ValueError("its format is not version 1 of 'roboyard-onnx'")
        observations = [_array(part) for part in value["observations"]]
        noise = value["noise"]
        found = Contract(
            name=_text(value["name"]),
            algorithm=_text(value["algorithm"]),
            observations={part.key: part for part in observations},
            action=_array(value["action"]),
            control_period_s=_period(value["control_period_s"]),
            state_shapes=tuple(_shape(shape) for shape in value["state_shapes"]),
            noise=None if noise is None else Noise(_noise(noise), _positive(noise["size"])),
            text=text,
        )
        _check(found, len(observations))
    except RecursionError as error:
        raise PolicyError("the contract in the ONNX graph is nested too deeply.") from error
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise PolicyError(f"the contract in the ONNX graph is wrong: {reason}.") from error
    return found


def _check(contract: Contract, arrays: int) -> None:
    keys = contract.observations
    if not keys or len(keys) != arrays or ("" in keys and arrays > 1) or arrays > 1000:
        raise ValueError("the keys of its observations are missing, doubled or too many")
    if any(len(shape) != 3 or shape[1] != 1 for shape in contract.state_shapes):
        raise ValueError("a state shape is not (layers, 1, width)")


def _array(value: Mapping[str, object]) -> ArraySpec:
    kind, dtype = _text(value["kind"]), _text(value["dtype"])
    if kind not in ("box", "discrete", "multi_discrete", "multi_binary") or dtype not in _DTYPES:
        raise ValueError(f"unknown kind {kind!r} or dtype {dtype!r}")
    shape = _shape(value["shape"])
    names, units = (_texts(value[field], math.prod(shape)) for field in ("names", "units"))
    low, high = (_bounds(value[side], shape) for side in ("low", "high"))
    return ArraySpec(_text(value["key"]), kind, shape, np.dtype(dtype), low, high, names, units)


def _texts(value: object, size: int) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) not in (0, size):
        raise ValueError("names or units do not count the entries")
    return tuple(_text(entry) for entry in value)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise ValueError(f"{str(value)[:50]!r} is not a short text")
    return value


def _positive(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_ENTRIES:
        raise ValueError(f"{str(value)[:50]!r} is not a number from 1 to {MAX_ENTRIES}")
    return value


def _shape(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > 32:
        raise ValueError("a shape is not a short list")
    shape = tuple(_positive(entry) for entry in value)
    if math.prod(shape) > MAX_ENTRIES:
        raise ValueError(f"shape {shape} is too large")
    return shape


def _bounds(value: object, shape: tuple[int, ...]) -> np.ndarray:
    numbers = value if isinstance(value, list) else [value]
    if not all(entry in ("inf", "-inf") or _is_number(entry) for entry in numbers):
        raise ValueError("a bound is not a number")
    flat = np.array([float(str(entry)) for entry in numbers])
    array = flat.reshape(shape) if isinstance(value, list) else np.full(shape, flat[0])
    array.setflags(write=False)
    return array


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _period(value: object) -> float | None:
    if value is None:
        return None
    if not _is_number(value) or not 0.0 < float(str(value)) < math.inf:
        raise ValueError("the control period is not a positive number")
    return float(str(value))


def _noise(value: Mapping[str, object]) -> str:
    if value["distribution"] not in NOISES:
        raise ValueError(f"noise of an unknown distribution {str(value['distribution'])[:50]!r}")
    return str(value["distribution"])
