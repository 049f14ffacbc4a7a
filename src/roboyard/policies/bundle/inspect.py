"""What a bundle says about itself, and in what two of them differ; no network is built."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from gymnasium import spaces
from pydantic import JsonValue

from roboyard.errors import PolicyError
from roboyard.policies.bundle.layout import POLICY_PART
from roboyard.policies.bundle.policy_bundle import PolicyBundle
from roboyard.policies.contract import Entry
from roboyard.policies.spaces import AnySpace

MAX_ROWS = 200
"""Entries of one array that are listed."""
_ABSENT = "-"


class EntryRow(NamedTuple):
    """One entry of an observation or the action, as texts."""

    array: str
    entry: str
    name: str
    unit: str
    low: str
    high: str


class JointRow(NamedTuple):
    """One joint of the robot and what an action does to it, as texts."""

    joint: str
    default: str
    low: str
    high: str
    control: str
    command: str
    stiffness: str
    damping: str
    effort_limit: str


class Difference(NamedTuple):
    """One place in which two bundles differ, as texts."""

    where: str
    first: str
    second: str


def summary(bundle: PolicyBundle) -> dict[str, str]:
    """Return the facts about a bundle that fit into one line each."""
    manifest = bundle.manifest
    onnx = manifest.onnx
    contract = bundle.contract
    found = {
        "file": f"{bundle.source} ({bundle.size:,} bytes)",
        "name": bundle.config.name,
        "algorithm": bundle.algorithm,
        "environment": bundle.config.env.id,
        "observation": str(bundle.observation_space),
        "action": str(bundle.action_space),
        "normalised": "yes" if bundle.normalizer is not None else "no",
        "memory": str(manifest.network.state_shapes or "none"),
        "control period": f"{contract.control_period_s} s"
        if contract.control_period_s
        else "unknown",
        "robot": str(contract.robot.get("name", "unknown")),
        "graph": "none"
        if onnx is None
        else f"ONNX, opset {onnx.opset}, within {onnx.parity.largest_difference:.2g} of the "
        f"network on {onnx.parity.observations} observations",
    }
    return found | _flat_facts(bundle.provenance)


def _flat_facts(provenance: Mapping[str, JsonValue]) -> dict[str, str]:
    """Return what the provenance says, the facts of one subject in one line."""
    return {
        name.replace("_", " "): _listed(value) if isinstance(value, dict) else _shown(value)
        for name, value in provenance.items()
    }


def _listed(facts: Mapping[str, JsonValue]) -> str:
    shown = {
        key.replace("_", " "): f"{value:.4g}" if isinstance(value, float) else _shown(value)
        for key, value in facts.items()
        if value is not None
    }
    return ", ".join(f"{key} {value}" for key, value in shown.items())


def entry_rows(bundle: PolicyBundle) -> Iterator[EntryRow]:
    """Yield every entry of the observations and of the action."""
    space = bundle.observation_space
    parts = dict(space.spaces) if isinstance(space, spaces.Dict) else {"": space}
    for key, part in parts.items():
        label = f"observation {key}" if key else "observation"
        yield from _rows(label, part, bundle.contract.observations.get(key, ()))
    yield from _rows("action", bundle.action_space, bundle.contract.actions)


def joint_rows(bundle: PolicyBundle) -> Iterator[JointRow]:
    """Yield every joint of the robot in the contract, in the order of its positions."""
    robot = bundle.contract.robot
    joints = _column(robot, "joints", None)
    actuators = [part for part in _column(robot, "actuators", None) if isinstance(part, dict)]
    driven: dict[JsonValue, list[str]] = {}
    for actuator in actuators:
        names = _column(actuator, "joints", None)
        keys = ("scale", "offset", "stiffness", "damping", "effort_limit")
        columns = [_column(actuator, key, len(names)) for key in keys]
        for name, scale, offset, *gains in zip(names, *columns, strict=True):
            command = f"{_figure(offset)} + {_figure(scale)} a [{_shown(actuator.get('unit'))}]"
            if actuator.get("link") is not None:
                command = f"what moves {_shown(actuator['link'])}"
            driven[name] = [_shown(actuator.get("control")), command, *map(_figure, gains)]
    columns = [
        _column(robot, key, len(joints))
        for key in ("default_positions", "lower_limits", "upper_limits")
    ]
    for name, *positions in zip(joints, *columns, strict=True):
        own = driven.get(name, [_ABSENT] * 5)
        yield JointRow(_shown(name), *map(_figure, positions), *own)


def differences(first: PolicyBundle, second: PolicyBundle) -> list[Difference]:
    """Return in what two bundles differ: weights, spaces, contract, config and provenance.

    Raises:
        PolicyError: The weights of one are damaged.
    """
    found = list(_weights(first, second))
    left, right = (_flat(bundle.manifest.model_dump(mode="json")) for bundle in (first, second))
    for where in [*left, *(name for name in right if name not in left)]:
        pair = [_shown(side[where]) if where in side else _ABSENT for side in (left, right)]
        if pair[0] != pair[1] and not where.startswith("parts."):
            found.append(Difference(where, *pair))
    return found


def _column(facts: Mapping[str, JsonValue], key: str, size: int | None) -> list[JsonValue]:
    """Return a list of the contract, whose form nobody has checked, at the wanted length."""
    value = facts.get(key)
    if isinstance(value, list) and size in (None, len(value)):
        return value
    return [None] * (size or 0)


def _figure(value: JsonValue) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else _shown(value)


def _rows(label: str, space: AnySpace, entries: tuple[Entry, ...]) -> Iterator[EntryRow]:
    size = int(np.prod(space.shape or ()))
    bounds = [np.full(size, np.nan)] * 2
    if isinstance(space, spaces.Box):
        bounds = [space.low.ravel(), space.high.ravel()]
    for index in range(min(size, MAX_ROWS)):
        entry = entries[index] if entries else None
        name, unit = (entry.name, entry.unit) if entry else ("", "")
        low, high = (_ABSENT if np.isnan(side[index]) else f"{side[index]:g}" for side in bounds)
        yield EntryRow(label, str(index), name, unit, low, high)
    if size > MAX_ROWS:
        yield EntryRow(label, "...", f"{size - MAX_ROWS} more", "", "", "")


def _weights(first: PolicyBundle, second: PolicyBundle) -> Iterator[Difference]:
    left, right = _arrays(first), _arrays(second)
    for name in [*left, *(name for name in right if name not in left)]:
        one, other = left.get(name), right.get(name)
        where = f"weights {name}"
        if one is None or other is None or one.shape != other.shape:
            shapes = [_ABSENT if part is None else str(part.shape) for part in (one, other)]
            yield Difference(where, *shapes)
        elif not np.array_equal(one, other, equal_nan=True):
            norms = [f"norm {np.linalg.norm(part.astype(float)):.6g}" for part in (one, other)]
            yield Difference(where, *norms)


def _arrays(bundle: PolicyBundle) -> dict[str, np.ndarray]:
    from safetensors.numpy import load

    try:
        arrays: dict[str, np.ndarray] = load(bundle.weights)
    except Exception as error:  # Whatever damaged bytes make the parser raise.
        raise PolicyError(f"'{bundle.source}' is damaged: {POLICY_PART}: {error}.") from error
    return arrays


def _flat(value: JsonValue, prefix: str = "") -> dict[str, JsonValue]:
    if not isinstance(value, Mapping) or not value:
        return {prefix: value}
    found: dict[str, JsonValue] = {}
    for key, part in value.items():
        found |= _flat(part, f"{prefix}.{key}" if prefix else str(key))
    return found


def _shown(value: JsonValue) -> str:
    if value is None:
        return _ABSENT
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
