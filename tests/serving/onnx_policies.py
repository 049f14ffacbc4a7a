"""Small policies as ONNX files, whose actions can be worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def _array(key: str, shape: Sequence[int], **more: object) -> dict[str, object]:
    facts = {"key": key, "kind": "box", "shape": list(shape), "dtype": "float32"}
    return {**facts, "names": [], "units": [], "low": "-inf", "high": "inf", **more}


def _save(path: Path, graph: onnx.GraphProto, contract: dict[str, object]) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    facts = {
        "format": "roboyard-onnx",
        "format_version": 1,
        "name": "cartpole",
        "algorithm": "ppo",
        "noise": None,
        "control_period_s": 0.02,
        "state_shapes": [],
        **contract,
    }
    helper.set_model_props(model, {"roboyard": json.dumps(facts)})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def _value(name: str, shape: Sequence[object]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def linear(path: Path, *, bias: float = 0.0, name: str = "cartpole", layers: int = 0) -> Path:
    """Write a policy whose action is the sum of its two entries and ``bias``, within ±1.

    Args:
        path: The file.
        bias: Tells versions apart.
        name: The policy's name.
        layers: Multiplications by a large identity, which take time.
    """
    weights = numpy_helper.from_array(np.ones((2, 1), np.float32), "w")
    offset = numpy_helper.from_array(np.full(1, bias, np.float32), "b")
    low = numpy_helper.from_array(np.float32(-1), "low")
    high = numpy_helper.from_array(np.float32(1), "high")
    nodes = [
        helper.make_node("Gemm", ["observation", "w", "b"], ["raw"]),
        helper.make_node("Clip", ["raw", "low", "high"], ["clipped"]),
        helper.make_node("MatMul", ["clipped", "wide"], ["h0"]),
        *(helper.make_node("MatMul", [f"h{i}", "eye"], [f"h{i + 1}"]) for i in range(layers)),
        helper.make_node("MatMul", [f"h{layers}", "narrow"], ["action"]),
    ]
    width = 1024 if layers else 1
    first = np.zeros((1, width), np.float32)
    first[0, 0] = 1
    ballast = [
        numpy_helper.from_array(first, "wide"),
        numpy_helper.from_array(first.T.copy(), "narrow"),
        numpy_helper.from_array(np.eye(width, dtype=np.float32), "eye"),
    ]
    graph = helper.make_graph(
        nodes,
        "policy",
        [_value("observation", ["batch", 2])],
        [_value("action", ["batch", 1])],
        [weights, offset, low, high, *ballast],
    )
    observation = _array(
        "",
        [2],
        names=["cart position", "pole angle"],
        units=["m", "rad"],
        low=[-2.5, -1.5],
        high=[2.5, 1.5],
    )
    action = _array("", [1], names=["force"], units=["N"], low=-1.0, high=1.0)
    return _save(path, graph, {"name": name, "observations": [observation], "action": action})


def counting(path: Path, *, gain: float = 1.0) -> Path:
    """Write a recurrent policy: action = gain times the sum of the episode's observations."""
    nodes = [
        helper.make_node("Sub", ["one", "episode_start"], ["kept"]),
        helper.make_node("Unsqueeze", ["kept", "axes"], ["kept_column"]),
        helper.make_node("Mul", ["state.0", "kept_column"], ["before"]),
        helper.make_node("Add", ["before", "observation"], ["state_out.0"]),
        helper.make_node("Squeeze", ["state_out.0", "first"], ["sum"]),
        helper.make_node("Mul", ["sum", "gain"], ["action"]),
    ]
    constants = [
        numpy_helper.from_array(np.float32(1), "one"),
        numpy_helper.from_array(np.float32(gain), "gain"),
        numpy_helper.from_array(np.array([1], np.int64), "axes"),
        numpy_helper.from_array(np.array([0], np.int64), "first"),
    ]
    graph = helper.make_graph(
        nodes,
        "policy",
        [
            _value("observation", ["batch", 1]),
            _value("state.0", [1, "batch", 1]),
            _value("episode_start", ["batch"]),
        ],
        [_value("action", ["batch", 1]), _value("state_out.0", [1, "batch", 1])],
        constants,
    )
    facts = {
        "name": "counter",
        "observations": [_array("", [1])],
        "action": _array("", [1]),
        "state_shapes": [[1, 1, 1]],
    }
    return _save(path, graph, facts)


def looking(path: Path) -> Path:
    """Write a policy with a Dict observation: action = mean of the image + the speed."""
    nodes = [
        helper.make_node("Cast", ["observation.camera"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "axes"], ["column"]),
        helper.make_node("Add", ["column", "observation.speed"], ["action"]),
    ]
    image = helper.make_tensor_value_info(
        "observation.camera", TensorProto.UINT8, ["batch", 3, 4, 4]
    )
    graph = helper.make_graph(
        nodes,
        "policy",
        [image, _value("observation.speed", ["batch", 1])],
        [_value("action", ["batch", 1])],
        [numpy_helper.from_array(np.array([1], np.int64), "axes")],
    )
    camera = _array("camera", [3, 4, 4], dtype="uint8", low=0, high=255)
    facts = {
        "name": "looker",
        "observations": [camera, _array("speed", [1], names=["speed"], units=["m/s"])],
        "action": _array("", [1]),
    }
    return _save(path, graph, facts)
