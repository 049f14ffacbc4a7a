"""Writing the contract that travels inside of an ONNX file; ``signature`` reads it."""

from __future__ import annotations

import json
import math

import numpy as np
from gymnasium import spaces
from pydantic import JsonValue

from roboyard.errors import PolicyError
from roboyard.policies.bundle.policy_bundle import PolicyBundle
from roboyard.policies.contract import Entry, PolicyContract
from roboyard.policies.runtime.contract_reader import Noise
from roboyard.policies.spaces import AnySpace

_KINDS = {
    spaces.Box: "box",
    spaces.Discrete: "discrete",
    spaces.MultiDiscrete: "multi_discrete",
    spaces.MultiBinary: "multi_binary",
}


def contract_text(bundle: PolicyBundle, noise: Noise | None, action_dtype: str) -> str:
    """Return the contract of a bundle's graph as JSON.

    Args:
        bundle: The bundle.
        noise: What the graph takes for sampling.
        action_dtype: Element type of the graph's action.

    Raises:
        PolicyError: A space is of a kind that a graph cannot read.
    """
    given: PolicyContract = bundle.contract
    space = bundle.observation_space
    parts = dict(space.spaces) if isinstance(space, spaces.Dict) else {"": space}
    value: dict[str, JsonValue] = {
        "format": "roboyard-onnx",
        "format_version": 1,
        "name": bundle.config.name,
        "algorithm": bundle.algorithm,
        "observations": [
            _array(key, part, str(part.dtype), given.observations.get(key, ()))
            for key, part in parts.items()
        ],
        "action": _array("", bundle.action_space, action_dtype, given.actions),
        "control_period_s": given.control_period_s,
        "state_shapes": [list(shape) for shape in bundle.manifest.network.state_shapes],
        "noise": noise and {"distribution": noise.distribution, "size": noise.size},
        "robot": given.robot,
    }
    return json.dumps(value, allow_nan=False)


def _array(
    key: str, space: AnySpace, dtype: str, entries: tuple[Entry, ...]
) -> dict[str, JsonValue]:
    kind = _KINDS.get(type(space))
    if kind is None or dtype == "bool":
        raise PolicyError(f"a graph cannot read the space {space}: use numbers instead.")
    low, high = _bounds(space)
    return {
        "key": key,
        "kind": kind,
        "shape": list(space.shape or ()),
        "dtype": dtype,
        "low": _json(low),
        "high": _json(high),
        "names": [entry.name for entry in entries],
        "units": [entry.unit for entry in entries],
    }


def _bounds(space: AnySpace) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest values, as numbers that the network reads or gives."""
    if isinstance(space, spaces.Box):
        return space.low, space.high
    if isinstance(space, spaces.Discrete):
        return np.array(0), np.array(space.n - 1)
    if isinstance(space, spaces.MultiDiscrete):
        return np.zeros(space.nvec.shape), space.nvec - 1
    shape = space.shape or ()
    return np.zeros(shape), np.ones(shape)


def _json(bounds: np.ndarray) -> JsonValue:
    flat = bounds.ravel().tolist()
    values: list[JsonValue] = [v if math.isfinite(v) else str(v) for v in flat]
    return values[0] if all(v == values[0] for v in values) else values
