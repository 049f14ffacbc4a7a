"""A policy as an ONNX graph or a TorchScript module."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from roboyard.errors import PolicyError
from roboyard.optional import require
from roboyard.policies.bundle.policy_bundle import PolicyBundle
from roboyard.policies.export.contract_writer import contract_text
from roboyard.policies.export.policy_graph import PolicyGraph
from roboyard.policies.loaded import LoadedPolicy, Prediction, State
from roboyard.policies.runtime.contract_reader import METADATA_KEY, contract_from_text
from roboyard.policies.runtime.normalizer import Observation
from roboyard.policies.runtime.onnx_guard import check_model

OPSET = 17
"""Version of the ONNX operators; the first with LayerNormalization, read since onnxruntime 1.12."""
_TRACED_BATCH = 2


class Exported(NamedTuple):
    """A graph and what was said about it."""

    content: bytes
    exporter: str
    """What made it, with its version."""


class Signature(NamedTuple):
    """Names of a graph's inputs and outputs, and an example."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    example: tuple[Tensor, ...]

    def batch_axes(self) -> dict[str, dict[int, str]]:
        """Return the axis of the batch for each name."""
        names = dict.fromkeys(self.inputs + self.outputs)
        return {name: {1 if name.startswith("state") else 0: "batch"} for name in names}


def export_onnx(bundle: PolicyBundle, policy: LoadedPolicy) -> Exported:
    """Return a policy as one ONNX graph with the contract in its metadata.

    Args:
        bundle: What to say about it.
        policy: The bundle's policy, on the CPU.

    Raises:
        PolicyError: The network holds something that ONNX cannot express.
        MissingDependencyError: onnx is not installed.
    """
    onnx = require("onnx", "export")
    graph = PolicyGraph(policy).eval()
    signature = signature_of(graph, policy)
    text = contract_text(bundle, graph.head.noise, _action_dtype(graph, signature))
    content, exporter = _convert(graph, signature)
    model = onnx.load_from_string(content)
    _strip(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, text
    model.producer_name, model.producer_version = "roboyard", ""
    finished: bytes = model.SerializeToString(deterministic=True)
    check_model(finished)
    return Exported(finished, exporter)


def export_torchscript(bundle: PolicyBundle, policy: LoadedPolicy) -> Exported:
    """Return a policy as a traced TorchScript module with the contract as an extra file.

    Raises:
        PolicyError: The network cannot be traced.
    """
    graph = PolicyGraph(policy).eval()
    signature = signature_of(graph, policy)
    text = contract_text(bundle, graph.head.noise, _action_dtype(graph, signature))
    buffer = io.BytesIO()
    with _quiet(), torch.no_grad():
        try:
            traced = torch.jit.trace(graph, signature.example, check_trace=False)  # type: ignore[no-untyped-call]
        except Exception as error:  # Any layer can raise anything.
            raise _cannot("TorchScript", error) from error
        torch.jit.save(traced, buffer, _extra_files={f"{METADATA_KEY}.json": text})
    return Exported(buffer.getvalue(), f"torch {torch.__version__} jit.trace")


class TorchScriptPolicy:
    """A traced module that acts as a policy; for the parity check."""

    def __init__(self, content: bytes) -> None:
        """Load what ``export_torchscript`` returned; never a stranger's file."""
        extra = {f"{METADATA_KEY}.json": ""}
        with _quiet():
            self._module = torch.jit.load(io.BytesIO(content), _extra_files=extra)  # type: ignore[no-untyped-call]
        self.contract = contract_from_text(extra[f"{METADATA_KEY}.json"])

    def predict(
        self,
        observation: Observation,
        state: State | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> Prediction:
        """Act on a batch; always the likeliest action."""
        del deterministic
        parts = observation if isinstance(observation, dict) else {"": observation}
        batch = len(next(iter(parts.values())))
        inputs = [torch.from_numpy(parts[key]) for key in self.contract.observations]
        if self.contract.is_recurrent:
            shapes = [(layers, batch, width) for layers, _, width in self.contract.state_shapes]
            given = state or tuple(np.zeros(shape, np.float32) for shape in shapes)
            starts = np.zeros(batch) if episode_start is None else episode_start
            inputs += [torch.from_numpy(np.asarray(part)) for part in given]
            inputs.append(torch.from_numpy(np.asarray(starts, dtype=np.float32)))
        if self.contract.noise is not None:
            inputs.append(torch.zeros(batch, self.contract.noise.size))
        with torch.no_grad():
            action, *after = self._module(*inputs)
        return Prediction(action.numpy(), tuple(part.numpy() for part in after) or None)


def signature_of(graph: PolicyGraph, policy: LoadedPolicy) -> Signature:
    """Return the names of a graph's inputs and outputs, and a batch to trace it with."""
    space = policy.observation_space
    parts = dict(space.spaces) if isinstance(space, spaces.Dict) else {"": space}
    inputs = [f"observation.{key}" if key else "observation" for key in parts]
    example = [
        torch.from_numpy(np.zeros((_TRACED_BATCH, *(part.shape or ())), dtype=part.dtype))
        for part in parts.values()
    ]
    outputs = ["action"]
    if graph.recurrent:
        layers, _, width = policy.policy.lstm_hidden_state_shape  # type: ignore[misc]
        inputs += ["state.0", "state.1", "episode_start"]
        outputs += ["state_out.0", "state_out.1"]
        example += [torch.zeros(layers, _TRACED_BATCH, width) for _ in range(2)]
        example += [torch.zeros(_TRACED_BATCH)]
    if graph.head.noise is not None:
        inputs.append("noise")
        example.append(torch.zeros(_TRACED_BATCH, graph.head.noise.size))
    return Signature(tuple(inputs), tuple(outputs), tuple(example))


def _action_dtype(graph: PolicyGraph, signature: Signature) -> str:
    with torch.no_grad():
        return str(graph(*signature.example)[0].numpy().dtype)


def _convert(graph: PolicyGraph, signature: Signature) -> tuple[bytes, str]:
    """Trace the graph; where torch's tracing exporter cannot, use the one with torch.export."""
    version = f"torch {torch.__version__}"
    try:
        return _export(graph, signature, dynamo=False), f"{version} trace"
    except Exception as error:  # Any layer and any part of torch can raise anything.
        first = error
    try:
        return _export(graph, signature, dynamo=True), f"{version} export"
    except Exception:
        raise _cannot("ONNX", first) from first


def _export(graph: PolicyGraph, signature: Signature, *, dynamo: bool) -> bytes:
    names: dict[str, Any] = {
        "input_names": list(signature.inputs),
        "output_names": list(signature.outputs),
        "opset_version": OPSET + dynamo,
    }
    with _quiet(), torch.no_grad():
        if not dynamo:
            buffer = io.BytesIO()
            axes = signature.batch_axes()
            torch.onnx.export(
                graph,
                signature.example,
                buffer,  # type: ignore[arg-type]  # The tracing exporter takes a file too.
                dynamo=False,
                dynamic_axes=axes,
                **names,
            )
            return buffer.getvalue()
        batch = torch.export.Dim("batch")
        shapes = tuple(
            {axis: batch} for n in signature.inputs for axis in signature.batch_axes()[n]
        )
        program = torch.onnx.export(
            graph, signature.example, dynamo=True, dynamic_shapes=(shapes,), verbose=False, **names
        )
        assert program is not None
        content: bytes = program.model_proto.SerializeToString()
        return content


def _strip(model: Any) -> None:  # noqa: ANN401  (onnx.ModelProto, whose package is optional)
    """Remove what tells about the machine that exported: traces of the stack and file names."""
    model.doc_string = ""
    del model.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]


def _cannot(form: str, error: Exception) -> PolicyError:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return PolicyError(f"this policy cannot be exported to {form}: {reason}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence tracing: it warns of shapes that become constants, which the parity check covers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = ("torch.onnx", "onnxscript", "onnx_ir")
        loggers = [logging.getLogger(name) for name in names]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
