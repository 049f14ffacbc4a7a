"""onnxruntime sessions for policies: quiet, on the CPU, and exactly of the contract's form."""

from __future__ import annotations

import contextlib
import functools
from types import ModuleType
from typing import Any

import numpy as np

from roboyard.errors import PolicyError
from roboyard.policies.runtime.contract_reader import Contract

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
MEMORY_LIMIT = 2 * 1024**3
"""Memory [bytes] that the graphs of a process may take together: a small file can describe an
array of any size, as the product of a column and a row."""


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
    _limit_memory(runtime)
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        session = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common base class of its errors.
        reason = " ".join(str(error).split())[:300]
        raise PolicyError(f"onnxruntime refuses the ONNX graph: {reason}") from error
    _check_form(session, contract)
    return session


@functools.cache
def _limit_memory(runtime: ModuleType) -> None:
    """Give the process's graphs one arena of limited size; once, since it cannot be replaced."""
    place = runtime.OrtMemoryInfo(
        "Cpu", runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, runtime.OrtMemType.DEFAULT
    )
    settings = {"max_mem": MEMORY_LIMIT, "arena_extend_strategy": 1}  # As much as is asked for.
    with contextlib.suppress(Exception):  # The program has set up an arena of its own.
        runtime.create_and_register_allocator(place, runtime.OrtArenaCfg(settings))


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
