"""Reading an ONNX file as bytes, to refuse what a stranger's graph must not hold.

An ONNX graph can name files of the machine that it is loaded on, call code in other libraries,
loop, and ask for any amount of memory. This module walks the file (protocol buffers, see
https://protobuf.dev/programming-guides/encoding and onnx/onnx.proto) before onnxruntime does and
lets through only self-contained graphs of the operators that policies are made of.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from roboyard.errors import PolicyError

_OPERATORS = """
    Abs Add And ArgMax AveragePool BatchNormalization Cast Ceil Celu Clip Concat Constant Conv
    Cos Div Elu Equal Erf Exp Flatten Floor Gather Gelu Gemm GlobalAveragePool Greater
    GreaterOrEqual HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization
    LeakyRelu Less LessOrEqual Log LogSoftmax LSTM MatMul Max MaxPool Min Mish Mul Neg Not
    OneHot Or PRelu Pow Reciprocal ReduceMax ReduceMean ReduceMin ReduceSum Relu Reshape Round
    Selu Shape Sigmoid Sign Sin Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum Swish
    Tanh ThresholdedRelu Transpose Unsqueeze Where
"""
ALLOWED_OPERATORS = frozenset(_OPERATORS.split())
"""Operators of the standard domain that a policy's graph may use: no loops, no branches, no random
numbers, no texts, and none that makes a large result from a small file by itself."""

MAX_NODES = 20_000
_ELEMENT_TYPES = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13})
_STANDARD_DOMAINS = frozenset({b"", b"ai.onnx"})

# Field numbers of onnx.proto.
_MODEL_GRAPH, _MODEL_OPSETS, _MODEL_METADATA, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 14, 20, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_REFUSED = (5, 10), (6, 11, 22, 23)
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 1, 2, 13, 14


class Field(NamedTuple):
    """One field of a message."""

    number: int
    value: bytes | int


class ModelFacts(NamedTuple):
    """What a graph that was let through says about itself."""

    metadata: dict[str, str]
    """Texts that the exporter stored in the file."""
    nodes: int
    """Operators in the graph."""


def check_model(content: bytes) -> ModelFacts:
    """Refuse an ONNX file that is not a self-contained graph of known operators.

    Raises:
        PolicyError: It is damaged, or holds something that no policy needs.
    """
    try:
        return _check_model(content)
    except PolicyError:
        raise
    except (IndexError, OverflowError, ValueError) as error:
        raise PolicyError(f"the ONNX graph is damaged: {error}.") from error


def _check_model(content: bytes) -> ModelFacts:
    metadata: dict[str, str] = {}
    graphs = nodes = 0
    for number, value in _fields(content):
        if number in (_MODEL_TRAINING, _MODEL_FUNCTIONS):
            _refuse("training information or functions of its own")
        elif number == _MODEL_OPSETS:
            domain = b"".join(_all(_bytes(value), 1))
            if domain not in _STANDARD_DOMAINS:
                _refuse(f"operators of the domain {domain!r}")
        elif number == _MODEL_METADATA:
            pair = _bytes(value)
            metadata[b"".join(_all(pair, 1)).decode()] = b"".join(_all(pair, 2)).decode()
        elif number == _MODEL_GRAPH:
            graphs += 1
            nodes += _check_graph(_bytes(value))
    if graphs != 1:
        raise PolicyError(f"the ONNX graph is damaged: the file has {graphs} graphs instead of 1.")
    return ModelFacts(metadata, nodes)


def _check_graph(content: bytes) -> int:
    nodes = 0
    for number, value in _fields(content):
        if number == _GRAPH_NODE:
            nodes += 1
            _check_node(_bytes(value))
        elif number == _GRAPH_INITIALIZER:
            _check_tensor(_bytes(value))
        elif number == _GRAPH_SPARSE:
            _refuse("sparse weights")
    if nodes > MAX_NODES:
        _refuse(f"{nodes} operators, more than {MAX_NODES}")
    return nodes


def _check_node(content: bytes) -> None:
    domain, operator = b"".join(_all(content, _NODE_DOMAIN)), b"".join(_all(content, _NODE_TYPE))
    if domain not in _STANDARD_DOMAINS:
        _refuse(f"the operator {operator!r} of the domain {domain!r}")
    if operator.decode("ascii", "replace") not in ALLOWED_OPERATORS:
        _refuse(f"the operator {operator!r}")
    for attribute in _all(content, _NODE_ATTRIBUTE):
        for number, value in _fields(attribute):
            if number in _ATTRIBUTE_REFUSED:
                _refuse("graphs or sparse weights inside of an operator")
            if number in _ATTRIBUTE_TENSORS:
                _check_tensor(_bytes(value))


def _check_tensor(content: bytes) -> None:
    entries = 1
    for number, value in _fields(content):
        if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value != 0):
            _refuse("weights in another file")
        elif number == _TENSOR_TYPE and value not in _ELEMENT_TYPES:
            _refuse(f"weights of the element type {value!r}")
        elif number == _TENSOR_DIMS:
            entries *= math.prod(_varints(value))
    # Every entry takes at least one byte, so a small file cannot ask for a large array.
    if entries > len(content):
        _refuse(f"an array of {entries} entries in {len(content)} bytes")


def _refuse(what: str) -> None:
    raise PolicyError(
        f"the ONNX graph has {what}, which the graph of a policy never has; it is not loaded."
    )


def _all(content: bytes, wanted: int) -> Iterator[bytes]:
    return (_bytes(value) for number, value in _fields(content) if number == wanted)


def _bytes(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise ValueError("a field has another type than expected")
    return value


def _varints(value: bytes | int) -> Iterator[int]:
    """Yield the numbers of a repeated field, packed or not."""
    if isinstance(value, int):
        yield value
        return
    position = 0
    while position < len(value):
        number, position = _varint(value, position)
        yield number


def _fields(content: bytes) -> Iterator[Field]:
    position = 0
    while position < len(content):
        key, position = _varint(content, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(content, position)
            yield Field(key >> 3, value)
            continue
        size = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            size, position = _varint(content, position)
        if size is None or size > len(content) - position:
            raise ValueError("a field is cut off or of an unknown kind")
        yield Field(key >> 3, content[position : position + size])
        position += size


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """Return the number at ``position`` and the position after it."""
    number = 0
    for shift in range(0, 70, 7):
        byte = content[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise ValueError("a number has more than 10 bytes")
