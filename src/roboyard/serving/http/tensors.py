"""The safetensors format in a few lines, without the copies that the library makes.

https://github.com/huggingface/safetensors#format: 8 bytes little-endian length of the header, a
JSON header with dtype, shape and place of each array, then the arrays, C order, little-endian.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np

from roboyard.serving.http import strict_json

_CODES = {
    "F32": "<f4", "F64": "<f8", "F16": "<f2", "BOOL": "|b1", "U8": "|u1", "I8": "|i1",
    "I16": "<i2", "U16": "<u2", "I32": "<i4", "U32": "<u4", "I64": "<i8", "U64": "<u8",
}  # fmt: skip
_DTYPES = {code: np.dtype(name) for code, name in _CODES.items()}
_NAMES = {dtype: code for code, dtype in _DTYPES.items()}
_MAX_HEADER = 64 * 1024
_MAX_DIMENSIONS = 32


def load_header(body: bytes | bytearray) -> dict[str, dict[str, object]]:
    """Return the header: facts of each array by name, and texts under ``__metadata__``.

    Raises:
        ValueError: It is damaged.
    """
    size = int.from_bytes(body[:8], "little")
    if len(body) < 8 or size > min(len(body) - 8, _MAX_HEADER):
        raise ValueError("the header is cut off")
    header = strict_json.parse(strict_json.decode(body[8 : 8 + size]))
    if not isinstance(header, dict):
        raise ValueError("the header is not an object")
    return header


def load(body: bytes | bytearray) -> dict[str, np.ndarray]:
    """Return the arrays of a blob, which they share; they cannot be written to.

    Raises:
        ValueError: It is damaged.
    """
    header = load_header(body)
    start = 8 + int.from_bytes(body[:8], "little")
    return {
        name: _array(body, start, name, facts)
        for name, facts in header.items()
        if name != "__metadata__"
    }


def save(arrays: Mapping[str, np.ndarray], facts: Mapping[str, str] | None = None) -> bytes:
    """Return arrays as one blob.

    Raises:
        ValueError: An array holds no numbers.
    """
    header: dict[str, object] = {"__metadata__": facts} if facts else {}
    parts: list[bytes] = []
    offset = 0
    for name, array in arrays.items():
        code = _NAMES.get(array.dtype)
        if code is None:
            raise ValueError(f"array '{name}' has the type {array.dtype}")
        data = array.tobytes()
        header[name] = {
            "dtype": code,
            "shape": array.shape,
            "data_offsets": (offset, offset + len(data)),
        }
        offset += len(data)
        parts.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # Keeps the arrays aligned.
    return b"".join((len(text).to_bytes(8, "little"), text, *parts))


def _array(body: bytes | bytearray, start: int, name: str, facts: dict[str, object]) -> np.ndarray:
    try:
        dtype, shape, place = _DTYPES[str(facts["dtype"])], facts["shape"], facts["data_offsets"]
    except (KeyError, TypeError):
        raise ValueError(f"array '{name[:100]}' has no known dtype, shape and place") from None
    sizes, offsets = _whole(shape), _whole(place)
    if len(sizes) > _MAX_DIMENSIONS or len(offsets) != 2:
        raise ValueError(f"array '{name[:100]}' has a wrong shape or place")
    begin, end = offsets
    count = math.prod(sizes)
    if end - begin != count * dtype.itemsize or start + end > len(body):
        raise ValueError(f"array '{name[:100]}' does not fit its place")
    return np.frombuffer(body, dtype, count, start + begin).reshape(sizes)


def _whole(numbers: object) -> list[int]:
    if not isinstance(numbers, list) or not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError("a shape or place is not a list of whole numbers")
    return numbers
