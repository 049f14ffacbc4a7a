"""Exact JSON schemas of the loaded policies' observations, for the OpenAPI description."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from roboyard.policies.runtime.contract_reader import ArraySpec, Contract
from roboyard.serving.http.codec import JSON
from roboyard.serving.http.descriptions import MESSAGE
from roboyard.serving.model.catalog import Catalog

_MAX_LISTED = 64
_LARGEST = float(np.finfo(np.float32).max) * 0.999
_ACT = "/v1/policies/{name}/act"
_INVOCATIONS = "/invocations"
_FLAG, _NULL = {"type": "boolean"}, {"type": "null"}
_FLAGS = {"type": "array", "items": _FLAG}


def describe_policies(base: dict[str, Any], catalog: Catalog, max_rows: int) -> dict[str, Any]:
    """Return an OpenAPI description with a path for each loaded policy.

    Args:
        base: The description without policies; it is left as it is.
        catalog: The loaded policies.
        max_rows: Most observations in a request.
    """
    described = copy.deepcopy(base)
    paths = described["paths"]
    for name in catalog.names():
        message = _message(catalog.entries[name][-1].contract, max_rows)
        operation = copy.deepcopy(paths[_ACT]["post"])
        operation["operationId"] = f"act_{name}"
        operation["summary"] = f"Act with {name}"
        operation["parameters"] = [
            part for part in operation.get("parameters", []) if part["name"] != "name"
        ]
        operation["requestBody"]["content"][JSON]["schema"] = message
        paths[_ACT.format(name=name)] = {"post": operation}
        if len(catalog.entries) == 1:
            body = paths[_INVOCATIONS]["post"]["requestBody"]
            body["content"][JSON]["schema"] = message
    return described


def _message(contract: Contract, max_rows: int) -> dict[str, Any]:
    """Return the schema of a request.

    A schema cannot say that two lists are of equal length. So those of recurrent policies leave
    out that a batch may bring its state, and a list of ``episode_start``; it may.
    """
    singles = _singles(contract)
    batches = [] if contract.is_dict else [_batch(contract.observations[""], max_rows)]
    if not contract.is_recurrent:
        return _with(observation={"anyOf": [*singles, *batches]})
    starts = {"anyOf": [_FLAG, {**_FLAGS, "minItems": 1, "maxItems": 1}, _NULL]}
    state = {"anyOf": [_state(contract), _NULL]}
    one = _with(observation={"anyOf": singles}, state=state, episode_start=starts)
    if not batches:
        return one
    many = _with(observation={"anyOf": batches}, state=_NULL, episode_start=starts)
    return {"anyOf": [one, many]}


def _with(**properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a request in which these properties are told exactly."""
    message = copy.deepcopy(MESSAGE)
    for name, schema in properties.items():
        known = message["properties"][name].get("description")
        message["properties"][name] = {"description": known, **schema} if known else schema
    return message


def _singles(contract: Contract) -> list[dict[str, Any]]:
    """Return the forms of one observation."""
    specs = contract.observations
    if not contract.is_dict:
        return [_one(specs[""]), *_by_name(specs[""])]
    form = {
        "type": "object",
        "required": list(specs),
        "additionalProperties": False,
        "properties": {key: _one(spec) for key, spec in specs.items()},
    }
    return [form]


def _batch(spec: ArraySpec, max_rows: int) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "maxItems": max_rows, "items": _one(spec)}


def _state(contract: Contract) -> dict[str, Any]:
    """Return the schema of the memory of one robot."""
    shapes = contract.state_shapes
    number = {"type": "number", "minimum": -_LARGEST, "maximum": _LARGEST}
    arrays = [_nested(number, shape) for shape in shapes]
    size = len(arrays)
    return {"type": "array", "prefixItems": arrays, "minItems": size, "maxItems": size}


def _nested(schema: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    for length in reversed(shape):
        schema = {"type": "array", "items": schema, "minItems": length, "maxItems": length}
    return schema


def _one(spec: ArraySpec) -> dict[str, Any]:
    """Return the schema of one observation."""
    size = spec.size
    if len(spec.shape) == 1 and size <= _MAX_LISTED:
        listed = [_number(spec, index) for index in range(size)]
        return {"type": "array", "prefixItems": listed, "minItems": size, "maxItems": size}
    is_uniform = np.ptp(spec.low) == 0 and np.ptp(spec.high) == 0 if size else False
    return _nested(_number(spec, 0) if is_uniform else {"type": "number"}, spec.shape)


def _by_name(spec: ArraySpec) -> list[dict[str, Any]]:
    if not spec.names or len(set(spec.names)) < spec.size or spec.size > _MAX_LISTED:
        return []
    return [
        {
            "type": "object",
            "required": list(spec.names),
            "additionalProperties": False,
            "properties": {name: _number(spec, i) for i, name in enumerate(spec.names)},
        }
    ]


def _number(spec: ArraySpec, index: int) -> dict[str, Any]:
    entry = spec.entry(index)
    schema: dict[str, Any] = {
        "type": "integer" if spec.dtype.kind in "iu" else "number",
        "minimum": max(entry.low, -_LARGEST),
        "maximum": min(entry.high, _LARGEST),
    }
    text = f"{entry.name} [{entry.unit}]" if entry.unit else entry.name
    return {**schema, "description": text}
