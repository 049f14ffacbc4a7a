"""Snapshots as bytes: a checked container for the state of a world or of an environment.

Layout: the magic bytes, the SHA-256 of the rest, the length of a JSON header (8 bytes, little
endian), the header, the blobs. Arrays and bytes inside the state stand in the blobs; nothing is
pickled. Floats survive exactly, because JSON holds their shortest exact decimal form.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from roboyard.errors import SimulationError

_MAGIC = b"RYSNAP01"
_HASH_SIZE = 32
_PREFIX = len(_MAGIC) + _HASH_SIZE + 8
_TAG = "__blob__"


def pack(kind: str, state: Mapping[str, object]) -> bytes:
    """Return ``state`` as bytes.

    Args:
        kind: What it is a state of; :func:`unpack` demands the same word.
        state: Values that are None, bool, int, float, str, bytes, NumPy scalars or arrays, or
            lists, tuples and string-keyed dictionaries of these. Tuples come back as lists.

    Raises:
        SimulationError: A value is of another type.
    """
    blobs: list[bytes] = []
    header = json.dumps({"kind": kind, "state": _encode(dict(state), blobs, "state")}).encode()
    rest = len(header).to_bytes(8, "little") + header + b"".join(blobs)
    return _MAGIC + hashlib.sha256(rest).digest() + rest


def unpack(kind: str, data: bytes) -> dict[str, Any]:
    """Return the state that :func:`pack` put into ``data``.

    Raises:
        SimulationError: The bytes are damaged, or are not a snapshot of this kind.
    """
    if data[: len(_MAGIC)] != _MAGIC:
        raise SimulationError(
            f"these {len(data)} bytes are not a snapshot; give what snapshot() returned."
        )
    rest = data[len(_MAGIC) + _HASH_SIZE :]
    if hashlib.sha256(rest).digest() != data[len(_MAGIC) : len(_MAGIC) + _HASH_SIZE]:
        raise SimulationError(
            f"this snapshot of {len(data)} bytes is damaged or cut short (its checksum differs); "
            "use an earlier one."
        )
    header_end = _PREFIX + int.from_bytes(rest[:8], "little")
    header: dict[str, Any] = json.loads(data[_PREFIX:header_end])
    if header["kind"] != kind:
        raise SimulationError(f"this is a snapshot of a {header['kind']}, not of a {kind}.")
    state: dict[str, Any] = _decode(header["state"], data, header_end)
    return state


def _encode(value: object, blobs: list[bytes], path: str) -> object:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return _add_blob(value, {"type": "bytes"}, blobs)
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        note = {"type": value.dtype.str, "shape": list(value.shape)}
        return _add_blob(value.tobytes(), note, blobs)
    if isinstance(value, (list, tuple)):
        return [_encode(item, blobs, f"{path}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _encode(item, blobs, f"{path}.{key}") for key, item in value.items()}
    raise SimulationError(
        f"{path} is a {type(value).__name__}, which a snapshot cannot hold. Allowed: None, bool, "
        "int, float, str, bytes, arrays, and lists and string-keyed dictionaries of these."
    )


def _add_blob(blob: bytes, note: dict[str, object], blobs: list[bytes]) -> object:
    offset = sum(map(len, blobs))
    blobs.append(blob)
    return {_TAG: {**note, "offset": offset, "size": len(blob)}}


def _decode(value: Any, data: bytes, base: int) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_decode(item, data, base) for item in value]
    if not isinstance(value, dict):
        return value
    note = value.get(_TAG)
    if note is None:
        return {key: _decode(item, data, base) for key, item in value.items()}
    start = base + note["offset"]
    blob = data[start : start + note["size"]]
    if note["type"] == "bytes":
        return blob
    return np.frombuffer(blob, dtype=note["type"]).reshape(note["shape"]).copy()
