"""How matrices are multiplied.

Torch on x86 asks MKL, which may take twice as long as it could on processors of other makers than
Intel: on an AMD EPYC of 2025 it makes 105 GFLOP/s a core where oneDNN, which is part of torch as
well, makes 200 (on one of 2023 both make 100). Products with a small side are MKL's everywhere:
oneDNN takes 10 us to begin. MKL takes up to four times as long for a product with few columns as
for the same one with few rows, on a processor of 2023: 13 us instead of 47 for 300 x 128 x 3.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import torch
from torch import Tensor, fx

SMALLEST = 1 << 20
"""Multiplications from which on a product is worth oneDNN's beginning."""
NARROW = 48
"""Up to so many columns a product is turned, and up to so many of anything it stays MKL's."""
TALL = 1 << 13
"""Numbers in the left factor from which on a product is worth turning."""


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


def use_fast_products(program: fx.GraphModule) -> None:
    """Make a program's products in the fastest way, which may sum them in another order.

    Args:
        program: Of ``aten`` operations whose nodes know their shapes, from ``make_fx``.
    """
    aten = torch.ops.aten
    for node in list(program.graph.nodes):
        if node.target is aten.addmm.default and not node.kwargs:
            bias, left, right = node.args
        elif node.target is aten.mm.default:
            bias, (left, right) = None, node.args
        else:
            continue
        (rows, inner), columns = left.meta["val"].shape, node.meta["val"].shape[1]
        if bias is None and 1 < columns <= NARROW and rows * inner >= TALL and columns < rows:
            _turn(program.graph, node, left, right)
        elif rows * inner * columns >= SMALLEST and min(rows, inner, columns) > NARROW:
            _give_to_onednn(program.graph, node, left, right, bias)
    program.recompile()


def _turn(graph: fx.Graph, node: fx.Node, left: fx.Node, right: fx.Node) -> None:
    """Make a product with few columns as one with few rows."""
    aten = torch.ops.aten
    with graph.inserting_before(node):
        turned = [_transposed(graph, factor) for factor in (right, left)]
        rows = graph.call_function(aten.mm.default, tuple(turned))
        columns = graph.call_function(aten.t.default, (rows,))
        form: dict[str, Any] = {"memory_format": torch.contiguous_format}
        whole = graph.call_function(aten.clone.default, (columns,), form)
    node.replace_all_uses_with(whole)
    graph.erase_node(node)


def _transposed(graph: fx.Graph, factor: fx.Node) -> fx.Node:
    transpose = torch.ops.aten.t.default
    if factor.target is transpose:
        return factor.args[0]  # type: ignore[return-value]
    return graph.call_function(transpose, (factor,))


def _give_to_onednn(
    graph: fx.Graph, node: fx.Node, left: fx.Node, right: fx.Node, bias: fx.Node | None
) -> None:
    if bias is not None and bias.meta["val"].dim() != 1:
        return
    with graph.inserting_before(node):
        weight = graph.call_function(torch.ops.aten.t.default, (right,))
        whole = graph.call_function(product, (left, weight, bias))
    node.replace_all_uses_with(whole)
    graph.erase_node(node)


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
