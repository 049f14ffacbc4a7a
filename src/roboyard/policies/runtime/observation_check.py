"""Observations against the contract: what the network must never see is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import numpy as np

from roboyard.policies.runtime.contract_reader import ArraySpec, Contract, ObservationError
from roboyard.registry import suggest

Observation = np.ndarray | Mapping[str, np.ndarray]
"""One array, or one for each key of a Dict observation; the batch comes first."""


def as_arrays(
    contract: Contract, observation: Observation, *, check_values: bool = True
) -> dict[str, np.ndarray]:
    """Return the arrays of a batch of observations, of the types that the graph reads.

    Args:
        contract: What the policy reads.
        observation: A batch of at least one.
        check_values: Refuse values that are not finite or out of range too.

    Raises:
        ObservationError: A name, shape, type or value is wrong; the message names the entry.
    """
    parts = _parts(contract, observation)
    arrays = {key: _as_array(spec, parts[key]) for key, spec in contract.observations.items()}
    sizes = {key: len(array) for key, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"'{key}': {size}" for key, size in sizes.items())
        raise ObservationError(f"the observations of the keys differ in number: {listed}.")
    if check_values:
        for key, spec in contract.observations.items():
            _check_values(spec, arrays[key])
    return arrays


def _parts(contract: Contract, observation: Observation) -> Mapping[str, object]:
    if not contract.is_dict:
        if isinstance(observation, Mapping):
            keys = ", ".join(map(repr, observation))
            raise ObservationError(
                f"the observation is a mapping with the keys {keys}, but the policy reads one "
                f"array of shape (batch, {_dimensions(contract.observations[''].shape)})."
            )
        return {"": observation}
    wanted = contract.observations.keys()
    listed = ", ".join(map(repr, wanted))
    if not isinstance(observation, Mapping):
        raise ObservationError(
            f"the observation is one array, but the policy reads a mapping with the keys {listed}."
        )
    for key in observation:
        if key not in wanted:
            raise ObservationError(
                f"the observation has an unknown key '{key}'. The policy reads: {listed}."
                f"{suggest(str(key), wanted)}"
            )
    for key in wanted:
        if key not in observation:
            raise ObservationError(
                f"the observation lacks the key '{key}'. The policy reads: {listed}."
            )
    return observation


def _as_array(spec: ArraySpec, value: object) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:  # Lists of unequal lengths.
        raise ObservationError(f"{_where(spec)} is not an array: its rows differ.") from error
    if array.shape[1:] != spec.shape or array.ndim == 0 or not len(array):
        raise ObservationError(
            f"{_where(spec)} has the shape {array.shape}, but the policy reads batches of shape "
            f"(batch, {_dimensions(spec.shape)})."
        )
    whole = spec.dtype.kind in "iu"
    if array.dtype.kind not in ("biu" if whole else "fiu"):
        raise ObservationError(
            f"{_where(spec)} has the type {array.dtype}, but the policy reads {spec.dtype}"
            f"{' (whole numbers)' if whole else ''}."
        )
    if whole and array.dtype != spec.dtype:
        _check_values(spec, array)  # Before the conversion could wrap a value around.
    if array.dtype == spec.dtype and array.flags.c_contiguous:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(array, dtype=spec.dtype)


def _check_values(spec: ArraySpec, array: np.ndarray) -> None:
    low, high = spec.limits
    # Written so that NaN, of which every comparison is false, fails too.
    if bool(((array >= low) & (array <= high)).all()):
        return
    if not np.isfinite(array).all():
        _refuse(spec, array, ~np.isfinite(array), "is not a finite number")
    _refuse(spec, array, (array < low) | (array > high), "is out of range")


def _refuse(spec: ArraySpec, array: np.ndarray, wrong: np.ndarray, reason: str) -> NoReturn:
    row, index = divmod(int(np.argmax(wrong)), spec.size)
    entry = spec.entry(index)
    unit = f" [{entry.unit}]" if entry.unit else ""
    bounds = f"from {entry.low:g} to {entry.high:g}"
    raise ObservationError(
        f"{_where(spec)}, row {row}: entry '{entry.name}'{unit} is "
        f"{array.reshape(len(array), -1)[row, index]}, which {reason}. Allowed: {bounds}.",
        entry=entry.name,
    )


def _where(spec: ArraySpec) -> str:
    return f"observation '{spec.key}'" if spec.key else "observation"


def _dimensions(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
