"""Work on an accelerator without its launches: kernels captured once and launched as one graph.

A step of a small network is a hundred kernels or more that run for two or three microseconds
each; launching them from Python one by one takes several times as long. See "CUDA Graphs" in
PyTorch's notes on CUDA semantics.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from stable_baselines3.common.type_aliases import TensorDict
from torch import Tensor

Work = Callable[..., list[Tensor]]
"""From tensors to tensors. It may change tensors that stay where they are, such as parameters, but
may neither ask for a value of a tensor nor draw random numbers."""

Fields = Iterable[Tensor | TensorDict | None]
"""Those of a batch: observations may be dictionaries, and discounts may be missing."""

Batch = TypeVar("Batch", bound=tuple[Any, ...])

WARM_UP = 3
"""Calls that run as written before one is captured: libraries set themselves up in them."""

_LOG = logging.getLogger(__name__)


class Graphs:
    """What was captured, by what it was captured for.

    On a CPU functions run as they are written.
    """

    def __init__(self) -> None:
        """Start without any."""
        self._known: dict[Hashable, _Graph] = {}
        self._valid_for: Hashable = None

    def keep_if(self, key: Hashable) -> None:
        """Forget what was captured unless ``key`` is the same as at the last call.

        Args:
            key: All that the functions depend on besides their inputs, such as where the tensors
                lie that they change.
        """
        if key != self._valid_for:
            self._known.clear()
            self._valid_for = key

    @property
    def captured(self) -> int:
        """How many functions run as one graph."""
        return sum(graph.is_captured for graph in self._known.values())

    def run(self, key: Hashable | None, work: Work, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Return what ``work(*inputs)`` returns, and have its effects.

        Args:
            key: Name of the function, and all that it depends on besides the values of its inputs
                and what :meth:`keep_if` was told. None has it run as written.
            work: What to do; only the first function with a key is ever called.
            inputs: Tensors of one device.
        """
        if key is None or inputs[0].device.type != "cuda":
            return work(*inputs)
        whole = (key, tuple((part.shape, part.dtype) for part in inputs))
        graph = self._known.get(whole)
        if graph is None:
            graph = self._known[whole] = _Graph(work, _stream_of(inputs[0].device))
        return graph.run(inputs)

    def run_on_batch(
        self,
        key: Hashable | None,
        work: Callable[..., list[Tensor]],
        batch: Batch,
        more: Sequence[Tensor],
    ) -> list[Tensor]:
        """Return what ``work(batch, *more)`` returns; see :meth:`run`.

        Args:
            key: See there.
            work: What to do.
            batch: A named tuple of tensors, of dictionaries of them, or None.
            more: Tensors.
        """
        tensors = _tensors(batch)
        if key is None or tensors[0].device.type != "cuda":
            return work(batch, *more)

        def on_tensors(*given: Tensor) -> list[Tensor]:
            fields: Any = _with_tensors(batch, iter(given))
            return work(type(batch)(*fields), *given[len(tensors) :])

        return self.run(key, on_tensors, [*tensors, *more])

    def __reduce__(self) -> tuple[type[Graphs], tuple[()]]:
        return Graphs, ()


def _tensors(batch: Fields) -> list[Tensor]:
    """Return the tensors of a batch, one after the other."""
    fields = [field for field in batch if field is not None]
    return [t for field in fields for t in (field.values() if isinstance(field, dict) else [field])]


def _with_tensors(batch: Fields, tensors: Iterator[Tensor]) -> list[Tensor | TensorDict | None]:
    """Return the fields of a batch like another one, with other tensors in the same order."""
    return [
        {name: next(tensors) for name in field}
        if isinstance(field, dict)
        else (None if field is None else next(tensors))
        for field in batch
    ]


@functools.cache
def _stream_of(device: torch.device) -> torch.cuda.Stream:
    """Return the stream on which all functions of a device run until they are captured.

    What autograd remembers of a parameter belongs to the stream where it was first used, and
    cannot be part of a graph that is captured on another.
    """
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class _Graph:
    """A function that runs as written a few times, and as one graph from then on."""

    def __init__(self, work: Work, stream: torch.cuda.Stream) -> None:
        self._work = work
        self._stream = stream
        self._calls_left: float = WARM_UP
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []
        self._outputs: list[Tensor] = []

    @property
    def is_captured(self) -> bool:
        return self._graph is not None

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        if self._graph is None and self._calls_left == 0:
            self._capture(inputs)
        if self._graph is None:
            self._calls_left -= 1
            outputs = self._run_as_written(inputs)
        else:
            torch._foreach_copy_(self._inputs, list(inputs))
            self._graph.replay()
            outputs = self._outputs
        # The next run writes over them.
        return [output.clone() for output in outputs]

    def _run_as_written(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            outputs = self._work(*inputs)
        current.wait_stream(self._stream)
        return outputs

    def _capture(self, inputs: Sequence[Tensor]) -> None:
        """Capture the kernels, none of which run; or give up for good."""
        kept, graph = [part.clone() for part in inputs], torch.cuda.CUDAGraph()
        generator = torch.cuda.default_generators[torch.cuda.current_device()]
        before = generator.clone_state()
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                outputs = self._work(*kept)
        except RuntimeError as error:
            generator.graphsafe_set_state(before)  # the failure left it in the graph
            _LOG.info("Not captured, so run step by step: %s", str(error).partition("\n")[0])
            self._calls_left = float("inf")
            return
        self._graph, self._inputs, self._outputs = graph, kept, outputs
