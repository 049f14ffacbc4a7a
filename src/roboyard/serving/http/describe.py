"""What clients are told about a policy's inputs and outputs."""

from __future__ import annotations

import numpy as np
from pydantic import JsonValue

from roboyard.policies.runtime.contract_reader import ArraySpec, Contract
from roboyard.policies.runtime.observation_check import Observation

_MAX_SHOWN = 512  # Not the bounds of every pixel of an image.


def contract_to_json(contract: Contract) -> dict[str, JsonValue]:
    """Return a contract as a JSON value; bounds that are infinite are ``null``."""
    parts: dict[str, JsonValue] = {
        key: _spec_to_json(spec) for key, spec in contract.observations.items()
    }
    return {
        "observation": parts if contract.is_dict else parts[""],
        "is_dict": contract.is_dict,
        "action": _spec_to_json(contract.action),
        "control_period_s": contract.control_period_s,
        "is_recurrent": contract.is_recurrent,
        "is_stochastic": contract.noise is not None,
        "algorithm": contract.algorithm,
    }


def example(contract: Contract, rows: int = 1) -> Observation:
    """Return valid observations: zeros, moved into the bounds."""
    arrays = {key: _zeros(spec, rows) for key, spec in contract.observations.items()}
    return arrays if contract.is_dict else arrays[""]


def zero_state(contract: Contract, rows: int) -> tuple[np.ndarray, ...]:
    """Return the recurrent state at the start of an episode; empty without memory."""
    shapes = [(layers, rows, width) for layers, _, width in contract.state_shapes]
    return tuple(np.zeros(shape, np.float32) for shape in shapes)


def _spec_to_json(spec: ArraySpec) -> dict[str, JsonValue]:
    shown: dict[str, JsonValue] = {
        "kind": spec.kind,
        "shape": list(spec.shape),
        "dtype": spec.dtype.name,
    }
    if spec.size <= _MAX_SHOWN:
        shown["names"] = [entry.name for entry in spec.entries]
        shown["units"] = [entry.unit for entry in spec.entries]
        shown["low"] = _bounds(spec.low)
        shown["high"] = _bounds(spec.high)
    return shown


def _zeros(spec: ArraySpec, rows: int) -> np.ndarray:
    one = np.clip(np.zeros(spec.shape), spec.low, spec.high).astype(spec.dtype)
    return np.repeat(one[None], rows, axis=0)


def _bounds(values: np.ndarray) -> list[JsonValue]:
    # The largest float32 stands for "none" in spaces as often as infinity does.
    return [float(value) if abs(value) < 3e38 else None for value in np.asarray(values, float).flat]
