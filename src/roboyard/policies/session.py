"""onnxruntime sessions for policies: quiet, on the CPU, and exactly of the contract's form."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from roboyard.errors import PolicyError
from roboyard.policies.signature import Contract

_TYPES = {
    "float16": "tensor(float16)",
    "float32": "tensor(float)",
    "float64": "tensor(double)",
    **{
        f"{sign}int{bits}": f"tensor({sign}int{bits})"
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}
_ERRORS_ONLY = 4


def make_session(runtime: ModuleType, graph: bytes, contract: Contract, threads: int) -> Any:  # noqa: ANN401
    """Return an ``InferenceSession`` of a graph that has been checked.

    Args:
        runtime: The module ``onnxruntime``.
        graph: The ONNX file.
        contract: What the graph must read and write.
        threads: Threads for one call.

    Raises:
        PolicyError: onnxruntime refuses the graph, or its inputs or outputs are not the
            contract's.
    """
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common base class of its errors.
        reason = " ".join(str(error).split())[:300]
        raise PolicyError(f"onnxruntime refuses the ONNX graph: {reason}") from error
    _check_form(session, contract)
    return session


def _check_form(session: Any, contract: Contract) -> None:  # noqa: ANN401
    state = len(contract.state_shapes)
    single = np.dtype(np.float32)
    wanted = {
        contract.input_name(key): (spec.dtype, len(spec.shape) + 1)
        for key, spec in contract.observations.items()
    }
    wanted |= {f"state.{index}": (single, 3) for index in range(state)}
    if state:
        wanted["episode_start"] = (single, 1)
    if contract.noise is not None:
        wanted["noise"] = (single, 2)
    found = {part.name: (part.type, len(part.shape)) for part in session.get_inputs()}
    expected = {name: (_TYPES[str(dtype)], rank) for name, (dtype, rank) in wanted.items()}
    if found != expected:
        raise PolicyError(f"the ONNX graph reads {found}, but its contract says {expected}.")
    outputs = [part.name for part in session.get_outputs()]
    if outputs != ["action", *(f"state_out.{index}" for index in range(state))]:
        raise PolicyError(f"the ONNX graph gives {outputs}, which is not what its contract says.")
