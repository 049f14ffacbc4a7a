"""Which library multiplies matrices.

Torch on x86 asks MKL, which takes half as long as it could on processors of other makers than
Intel: on an AMD EPYC of 2025 it makes 105 GFLOP/s a core where oneDNN, which is part of torch as
well, makes 200. Small products are MKL's everywhere: oneDNN takes 10 us to begin.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import torch
from torch import Tensor, fx

SMALLEST = 1 << 20
"""Multiplications from which on a product is worth oneDNN's beginning."""


@functools.cache
def prefers_onednn() -> bool:
    """Return whether MKL is slow on this processor and oneDNN is not."""
    try:
        processor = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    is_amd = "AuthenticAMD" in processor
    has_kernels = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return is_amd and has_kernels and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def use_onednn(program: fx.GraphModule) -> None:
    """Let oneDNN make a program's large products; it sums them in another order.

    Args:
        program: Of ``aten`` operations whose nodes know their shapes, from ``make_fx``.
    """
    aten, graph = torch.ops.aten, program.graph
    for node in list(graph.nodes):
        if node.target is aten.addmm.default and not node.kwargs:
            bias, left, right = node.args
        elif node.target is aten.mm.default:
            bias, (left, right) = None, node.args
        else:
            continue
        inner = left.meta["val"].shape[1]
        if math.prod(node.meta["val"].shape) * inner < SMALLEST or _is_matrix(bias):
            continue
        with graph.inserting_before(node):
            weight = graph.call_function(aten.t.default, (right,))
            whole = graph.call_function(product, (left, weight, bias))
        node.replace_all_uses_with(whole)
        graph.erase_node(node)
    program.recompile()


def product(left: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``left @ weight.T + bias``, by oneDNN.

    Args:
        left: Shape (rows, inner).
        weight: Shape (columns, inner).
        bias: Shape (columns,).
    """
    return _script()(left, weight, bias)


@functools.cache
def _script() -> Callable[..., Tensor]:
    # A script, because a recording cannot hold an empty list of optional numbers.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripts are deprecated, and there is no successor
        script: Callable[..., Tensor] = torch.jit.script(_linear)
    return script


def _linear(left: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:  # noqa: UP045
    result: Tensor = torch.ops.mkldnn._linear_pointwise(left, weight, bias, "none", [], "")
    return result


def _is_matrix(bias: fx.Node | None) -> bool:
    return bias is not None and bias.meta["val"].dim() != 1
