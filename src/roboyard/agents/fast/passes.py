"""A forward and a backward pass that are recorded together and run apart.

Between the two something is found out that the backward pass needs, such as what critics say of
an actor's actions. The backward pass goes on from what the forward pass has left, so that nothing
is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, fx

from roboyard.agents.fast.simplify import is_new

Forward = Callable[..., list[Tensor]]
"""From inputs to outputs, of which the backward pass takes gradients."""
Backward = Callable[..., list[Tensor]]
"""From the list of the forward pass's outputs, and more inputs, to results."""


class Passes(NamedTuple):
    """The two passes; what they return has no gradients."""

    forward: Callable[..., tuple[list[Tensor], list[Tensor]]]
    """From inputs to outputs, and to what is left for the backward pass."""
    backward: Callable[..., list[Tensor]]
    """From what the forward pass has left, and more inputs, to results."""


def run_as_written(forward: Forward, backward: Backward) -> Passes:
    """Return passes that are not recorded."""

    def first(*inputs: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        with torch.enable_grad():
            outputs = forward(*inputs)
        return [output.detach() for output in outputs], outputs

    def second(outputs: list[Tensor], *more: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            return [result.detach() for result in backward(outputs, *more)]

    return Passes(first, second)


def cut(whole: fx.GraphModule, inputs: int, outputs: int) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Cut a program in two.

    Args:
        whole: Takes and returns tensors.
        inputs: How many of its inputs the first part takes.
        outputs: How many of its outputs the first part returns.

    Returns:
        The first part, which returns its outputs and then all that the second needs of it; and
        the second part, which takes these and then the other inputs.

    Raises:
        ValueError: If the first outputs need the other inputs, or a tensor that both parts may
            use is changed in place.
    """
    *nodes, last = whole.graph.nodes
    results: list[fx.Node] = list(last.args[0])
    given = [node for node in nodes if node.op == "placeholder"]
    late = set(given[inputs:])
    for node in nodes:
        if not late.isdisjoint(node.all_input_nodes):
            late.add(node)
    changing = [node for node in nodes if _changes_tensors(node)]
    apart = all(_stays_in_its_part(node.args[0], late) for node in changing)
    if not (apart and late.isdisjoint(results[:outputs])):
        raise ValueError("its two passes cannot be told apart")
    constants = {node for node in nodes if node.op == "get_attr"}
    needed = [source for node in nodes if node in late for source in node.all_input_nodes]
    left = list(dict.fromkeys([*needed, *results[outputs:]]))
    left = [node for node in left if node not in late and node not in constants]
    early = [node for node in nodes if node not in late]
    first = _part(whole, given[:inputs], early, [*results[:outputs], *left])
    later = [node for node in nodes if node in late or node in constants]
    return first, _part(whole, [*left, *given[inputs:]], later, results[outputs:])


def _part(
    whole: fx.GraphModule, given: list[fx.Node], nodes: list[fx.Node], results: list[fx.Node]
) -> fx.GraphModule:
    graph, copies = fx.Graph(), {}
    for node in given:
        copies[node] = graph.placeholder(node.name)
    for node in nodes:
        if node not in copies:
            copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output([copies[node] for node in results])
    graph.eliminate_dead_code()
    return fx.GraphModule(whole, graph)


def _stays_in_its_part(node: fx.Node, late: set[fx.Node]) -> bool:
    """Return whether what a node computes is new, and used by one part only."""
    return is_new(node) and all((user in late) is (node in late) for user in node.users)


def _changes_tensors(node: fx.Node) -> bool:
    return bool(getattr(getattr(node.target, "_schema", None), "is_mutable", False))
