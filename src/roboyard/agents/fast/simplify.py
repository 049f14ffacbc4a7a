"""A recorded program with fewer operations and less memory, and the same bits.

Recording notes what autograd does: tensors are detached and matrices turned forth and back, each
of which takes a microsecond, and each activation gets memory of its own, which is then not in the
processor's cache. A number that is added or multiplied becomes a tensor of the other's type each
time, which takes as long as the operation on a small tensor.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from roboyard.agents.fast.products import product

_ATEN = torch.ops.aten
_IN_PLACE = {_ATEN.relu.default: _ATEN.relu_.default, _ATEN.tanh.default: _ATEN.tanh_.default}
_INTO_GRADIENT = {
    _ATEN.threshold_backward.default: _ATEN.threshold_backward.grad_input,
    _ATEN.tanh_backward.default: _ATEN.tanh_backward.grad_input,
}
"""Operations that may write to their first input."""
_WITH_NUMBER = {
    getattr(getattr(_ATEN, name), kind): getattr(_ATEN, name).Tensor
    for name in ("add", "sub", "mul", "div")
    for kind in ("Tensor", "Scalar")
}


def simplify(program: fx.GraphModule) -> None:
    """Take out what does nothing, and let activations take the place of what they come from.

    Args:
        program: Of ``aten`` operations, run without gradients; from ``make_fx``.
    """
    for node in program.graph.nodes:
        same = _same(node)
        if same is not None:
            node.replace_all_uses_with(same)
    program.graph.eliminate_dead_code()
    _make_numbers_tensors(program)
    for node in program.graph.nodes:
        if node.target in _IN_PLACE and _is_free(node.args[0]):
            node.target = _IN_PLACE[node.target]
        elif node.target in _INTO_GRADIENT and _is_free(node.args[0]):
            node.target = _INTO_GRADIENT[node.target]
            node.kwargs = {**node.kwargs, "grad_input": node.args[0]}
    program.recompile()


def _make_numbers_tensors(program: fx.GraphModule) -> None:
    """Give numbers the type of the tensor that they are added to or multiplied with, once."""
    known: dict[float, str] = {}
    for node in list(program.graph.nodes):
        reverses = node.target is _ATEN.rsub.Scalar
        if not (reverses or node.target in _WITH_NUMBER) or node.kwargs or len(node.args) != 2:
            continue
        tensor, number = node.args
        if not (isinstance(number, int | float) and tensor.meta["val"].dtype is torch.float32):
            continue
        name = known.setdefault(number, f"number_{len(known)}")
        program.register_buffer(name, torch.tensor(float(number)))
        with program.graph.inserting_before(node):
            constant = program.graph.get_attr(name)
        node.target = _ATEN.sub.Tensor if reverses else _WITH_NUMBER[node.target]
        node.args = (constant, tensor) if reverses else (tensor, constant)


def _same(node: fx.Node) -> Any:  # noqa: ANN401  (a node or None, which fx cannot tell from others)
    """Return the node that a node is the same as."""
    if node.target is _ATEN.detach.default:
        return node.args[0]
    if node.target is _ATEN.t.default and getattr(node.args[0], "target", None) is node.target:
        return node.args[0].args[0]  # type: ignore[union-attr]
    return None


def _is_free(node: fx.Node) -> bool:
    """Return whether a node's tensor is new, and nobody else's."""
    return is_new(node) and len(node.users) == 1


def is_new(node: fx.Node) -> bool:
    """Return whether a node computes a tensor of its own, which is not a view of another."""
    if node.target is product:
        return True
    schema = getattr(node.target, "_schema", None)
    return schema is not None and not any(each.alias_info for each in schema.returns)
