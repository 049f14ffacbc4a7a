"""Updates without the interpreter: what a function does to tensors, recorded once and replayed.

An update calls hundreds of small operations, whose dispatch from Python and bookkeeping for the
backward pass take as long as their arithmetic, and hold the interpreter's lock, so that two lanes
wait for each other. A recorded program has both passes as one flat list of the same operations in
the same order, run by TorchScript's interpreter without the lock: the same bits in less time.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

import torch
from stable_baselines3.common.policies import BaseModel
from torch import Tensor, fx, nn

from roboyard.agents.fast.graphs import Graphs
from roboyard.agents.fast.passes import Backward, Forward, Passes, cut, run_as_written
from roboyard.agents.fast.products import prefers_onednn, use_fast_products
from roboyard.agents.fast.simplify import simplify

Function = Callable[..., list[Tensor]]
"""From tensors to tensors; calls autograd itself."""
Recorded = TypeVar("Recorded")

_LOG = logging.getLogger(__name__)
_RECORDING = threading.Lock()
"""Recording changes how all modules are called."""
_PURE = ("torch.nn.", "stable_baselines3.", "sb3_contrib.", "roboyard.")
_CHANGING = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd, nn.RNNBase, nn.RReLU)


class Programs:
    """The recorded functions of one learner, by what they were recorded for."""

    def __init__(self, learns: bool = True) -> None:
        """Start without any.

        Args:
            learns: Whether the functions take gradients. Those that do not act, and keep the bits
                of torch's own matrix products on every processor.
        """
        self._learns = learns
        self._known: dict[Hashable, Any] = {}
        self._graphs = Graphs()
        self.recorded = 0
        """How many there are; functions that cannot be recorded do not count."""

    def get(
        self,
        key: Hashable,
        function: Function,
        inputs: Sequence[Tensor],
        networks: Iterable[nn.Module],
    ) -> Function:
        """Return a function's program, recorded at the first call.

        Args:
            key: Everything besides tensors that the function depends on. Its inputs' shapes need
                not be in it.
            function: What to record. Parameters that it reads belong to ``networks``.
            inputs: Examples of its inputs, all of them different tensors.
            networks: The modules that it calls.

        Returns:
            The program, or where it cannot be recorded the function, whose results then have no
            gradients either if it learns.
        """

        def launch(*inputs: Tensor) -> list[Tensor]:
            return self._graphs.run(key, function, inputs)

        def make() -> Function | None:
            if _are_on_cpu(inputs):
                return record(function, inputs, self._learns)
            return None if self._learns else launch

        otherwise = step_by_step(function) if self._learns else function
        return self._find(key, inputs, networks, make, otherwise)

    def get_passes(
        self,
        key: Hashable,
        functions: tuple[Forward, Backward],
        inputs: Sequence[Tensor],
        more: Callable[[], Sequence[Tensor]],
        networks: Iterable[nn.Module],
    ) -> Passes:
        """Return the programs of a forward and a backward pass, recorded at the first call.

        Args:
            key: As for :meth:`get`.
            functions: From inputs to outputs, and from these and further inputs to results.
            inputs: Examples of inputs.
            more: Makes examples of further inputs, whose shapes follow from the rest.
            networks: The modules that are called.

        Returns:
            The programs, or where they cannot be recorded the two functions.
        """

        def make() -> Passes | None:
            return record_passes(functions, inputs, more()) if _are_on_cpu(inputs) else None

        return self._find(key, inputs, networks, make, run_as_written(*functions))

    def _find(
        self,
        key: Hashable,
        inputs: Sequence[Tensor],
        networks: Iterable[nn.Module],
        make: Callable[[], Recorded | None],
        otherwise: Recorded,
    ) -> Recorded:
        whole = (key, tuple((part.shape, part.dtype) for part in inputs))
        if whole not in self._known:
            with _RECORDING:
                if whole not in self._known:  # another lane may just have recorded it
                    program = make() if all(map(is_pure, networks)) else None
                    self.recorded += program is not None
                    self._known[whole] = program or otherwise
        found: Recorded = self._known[whole]
        return found

    def __reduce__(self) -> tuple[type[Programs], tuple[bool]]:
        return Programs, (self._learns,)


def _are_on_cpu(tensors: Sequence[Tensor]) -> bool:
    return all(part.device.type == "cpu" for part in tensors)


def is_pure(network: nn.Module) -> bool:
    """Return whether a network does nothing but compute: no randomness, no state, no branches.

    Modules of the user's own and hooks may do anything, so they count as impure.
    """
    modules = list(network.modules())
    known = all(type(module).__module__.startswith(_PURE) for module in modules)
    # Policies themselves are not called by what is recorded.
    called = [module for module in modules if not isinstance(module, BaseModel)]
    changing = any(isinstance(module, _CHANGING) for module in modules)
    return known and not changing and not any(map(has_hooks, called))


def has_hooks(module: nn.Module) -> bool:
    """Return whether a call of a module runs more than its ``forward``."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def step_by_step(function: Function) -> Function:
    """Return a function with its own gradients, and none of its results."""

    def run(*inputs: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            return [result.detach() for result in function(*inputs)]

    return run


def record(function: Function, inputs: Sequence[Tensor], learns: bool = True) -> Function | None:
    """Return a program that does to tensors what ``function`` does.

    Args:
        function: It must not branch on the tensors' values, nor draw random numbers.
        inputs: Examples of its inputs; those of the program have the same shapes.
        learns: As for :class:`Programs`.

    Returns:
        The program, which never has gradients; None if the function cannot be recorded.
    """
    try:
        return _replay(_graph(function, inputs, learns), inputs)
    except Exception as error:
        _explain(error)
        return None


def record_passes(
    functions: tuple[Forward, Backward], inputs: Sequence[Tensor], more: Sequence[Tensor]
) -> Passes | None:
    """Return programs of two passes that do to tensors what the two functions do.

    Args:
        functions: Each as for :func:`record`; the second takes what the first returns, and more.
        inputs: Examples of inputs of the first.
        more: Examples of what else the second takes.

    Returns:
        The programs; None if the functions cannot be recorded.
    """
    forward, backward = functions
    count = 0

    def both(*given: Tensor) -> list[Tensor]:
        nonlocal count
        outputs = forward(*given[: len(inputs)])
        count = len(outputs)
        results = backward(outputs, *given[len(inputs) :])
        return [*(output.detach() for output in outputs), *results]

    try:
        first, second = cut(_graph(both, [*inputs, *more], True), len(inputs), count)
        run_first = _replay(first, inputs)
        run_second = _replay(second, [*run_first(*inputs)[count:], *more])
    except Exception as error:
        _explain(error)
        return None

    def run_forward(*given: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        results = run_first(*given)
        return results[:count], results[count:]

    return Passes(run_forward, lambda left, *given: run_second(*left, *given))


def _graph(function: Function, inputs: Sequence[Tensor], learns: bool) -> fx.GraphModule:
    # Not at the top: it imports a compiler, which takes a second.
    from torch.fx.experimental.proxy_tensor import make_fx

    def flat(*given: Tensor) -> list[Tensor]:  # its signature is looked at
        return function(*given)

    with torch.set_grad_enabled(learns):
        graph = make_fx(flat)(*inputs)
    simplify(graph)
    if learns and prefers_onednn():
        use_fast_products(graph)
    return graph


def _replay(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> Function:
    with _as_recorded(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated, and there is no successor
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            graph, tuple(inputs), check_trace=False
        )

    def program(*inputs: Tensor) -> list[Tensor]:
        with _as_recorded():
            outputs: list[Tensor] = traced(*inputs)
        return outputs

    return program


def _explain(error: Exception) -> None:
    _LOG.info("Not recorded, so run step by step: %s", str(error).partition("\n")[0])


class _as_recorded:  # noqa: N801  (used as a function; a generator would cost more than it does)
    """Run operations as they are written, without gradients; for this thread."""

    def __enter__(self) -> None:
        self._optimizes = torch._C._get_graph_executor_optimize()
        self._grad = torch.is_grad_enabled()
        # TorchScript's own rewriting merges matrix products, which rounds differently.
        torch._C._set_graph_executor_optimize(False)
        torch._C._set_grad_enabled(False)

    def __exit__(self, *_: object) -> None:
        torch._C._set_graph_executor_optimize(self._optimizes)
        torch._C._set_grad_enabled(self._grad)
