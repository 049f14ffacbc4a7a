"""From what a client sent to checked arrays, or to a refusal that names the entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from roboyard.policies.runtime.contract_reader import ArraySpec, Contract
from roboyard.policies.runtime.observation_check import Observation
from roboyard.registry import suggest
from roboyard.serving.http.errors import HTTPError


class Checked(NamedTuple):
    """An observation that has the policy's form."""

    observation: Observation
    """Batch first."""
    rows: int
    """How many."""
    is_single: bool
    """Whether it came without the batch axis."""


class _Part(NamedTuple):
    array: np.ndarray
    is_single: bool


def wrong(entry: str, message: str) -> HTTPError:
    """Return the refusal of an observation."""
    return HTTPError(422, "observation", message, entry=entry)


def check(value: object, contract: Contract, max_rows: int) -> Checked:
    """Bring an observation into the policy's form: shapes, types and names.

    The ranges are left to the policy's own ``validate``.

    Args:
        value: JSON value, array, or mapping of either.
        contract: What the policy reads.
        max_rows: Most observations in one request.

    Raises:
        HTTPError: It has another form; the message names the entry.
    """
    values = _by_key(value, contract)
    parts = {spec.key: _part(values[spec.key], spec) for spec in contract.observations.values()}
    first_key, first = next(iter(parts.items()))
    rows = len(first.array)
    for key, part in parts.items():
        if part.is_single != first.is_single or len(part.array) != rows:
            raise wrong(
                key,
                f"observation '{key}' holds {_count(part)}, but '{first_key}' {_count(first)}; "
                "every key needs as many.",
            )
    if not 1 <= rows <= max_rows:
        raise wrong(
            first_key or "observation",
            f"the request holds {rows} observations; allowed: 1 to {max_rows}.",
        )
    arrays = {key: part.array for key, part in parts.items()}
    return Checked(arrays if contract.is_dict else first.array, rows, first.is_single)


def _count(part: _Part) -> str:
    return "one observation" if part.is_single else f"a batch of {len(part.array)}"


def _by_key(value: object, contract: Contract) -> Mapping[str, object]:
    if not contract.is_dict:
        return {"": value}
    keys = list(contract.observations)
    if not isinstance(value, Mapping):
        raise wrong("observation", f"the observation must be an object with the keys {_list(keys)}")
    _check_names("observation", value, keys)
    return value


def _check_names(where: str, given: Mapping[str, object], expected: list[str]) -> None:
    wanted = set(expected)
    for name in given:
        if name not in wanted:
            raise wrong(
                str(name),
                f"{where} has no entry '{name}'; it has {_list(expected)}"
                f"{suggest(str(name), expected)}",
            )
    for name in expected:
        if name not in given:
            raise wrong(name, f"{where} lacks '{name}'; it needs {_list(expected)}")


def _list(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:20])
    return f"{shown} and {len(names) - 20} more." if len(names) > 20 else f"{shown}."


def _part(value: object, spec: ArraySpec) -> _Part:
    where = f"observation '{spec.key}'" if spec.key else "the observation"
    if isinstance(value, Mapping):
        value = _by_name(value, spec, where)
    array = _numbers(value, spec, where)
    if array.shape == spec.shape:
        return _Part(_cast(array, spec, where)[None], True)
    if array.ndim == len(spec.shape) + 1 and array.shape[1:] == spec.shape:
        return _Part(_cast(array, spec, where), False)
    batch = "(n, " + ", ".join(map(str, spec.shape)) + ")"
    raise wrong(
        spec.key or "observation",
        f"{where} has the shape {array.shape}; allowed: {spec.shape}, or {batch} for a batch.",
    )


def _by_name(value: Mapping[str, object], spec: ArraySpec, where: str) -> object:
    if not spec.names or len(set(spec.names)) != len(spec.names):
        raise wrong(
            spec.key or "observation",
            f"{where} is an object, but the policy's entries have no names; give a list.",
        )
    _check_names(where, value, list(spec.names))
    for name in spec.names:
        if isinstance(value[name], bool) or not isinstance(value[name], int | float):
            raise wrong(name, f"{where}: '{name}' must be a number.")
    flat = np.asarray([value[name] for name in spec.names])
    return flat.reshape(spec.shape)


def _numbers(value: object, spec: ArraySpec, where: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError, RecursionError):
        array = np.empty((), object)
    if array.dtype.kind not in "iuf":
        raise wrong(
            spec.key or "observation",
            f"{where} must be numbers in lists of equal length, of the shape {spec.shape} "
            "or with one more axis in front for a batch.",
        )
    return array


def _cast(array: np.ndarray, spec: ArraySpec, where: str) -> np.ndarray:
    """Return the array as the policy's type, if no number changes by more than rounding."""
    if array.dtype == spec.dtype:
        return array
    if spec.dtype.kind in "iu":
        limits = np.iinfo(spec.dtype.name)
        is_bad = ~((array == np.floor(array)) & (array >= limits.min) & (array <= limits.max))
        if is_bad.any():
            worst = array[is_bad].flat[0]
            raise wrong(
                spec.key or "observation",
                f"{where} holds {worst}; allowed: whole numbers of type {spec.dtype.name}.",
            )
    with np.errstate(over="ignore"):  # What becomes infinite is refused by ``validate``.
        return array.astype(spec.dtype)
