"""The processes of a run and what they exchange."""

from __future__ import annotations

import contextlib
import datetime
import pickle
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from roboyard.errors import TrainingError

_GO: Final = 0
"""Length of the message that lets the others go on."""


class PeerLostError(TrainingError):
    """Another process of the run is gone, or does not answer."""


class Group:
    """The processes that train one run; torch's default process group exists while it does."""

    def __init__(
        self, rank: int, workers: int, lost: Callable[[], str] = lambda: "another process"
    ) -> None:
        """Belong to the group as number ``rank`` of ``workers``.

        Args:
            rank: This process; 0 leads.
            workers: How many there are.
            lost: Says who is gone, once one is.
        """
        self.rank = rank
        self.workers = workers
        self.at_boundary = False
        """Whether the others wait for what the leader tells them."""
        self._lost = lost

    @property
    def leads(self) -> bool:
        """Whether this process drives the run."""
        return self.rank == 0

    def rows(self, count: int) -> slice:
        """Return this process's contiguous block of ``count`` rows."""
        return slice(self._start(self.rank, count), self._start(self.rank + 1, count))

    def weight(self, count: int) -> float:
        """Return which share of ``count`` rows that block is."""
        return (self._start(self.rank + 1, count) - self._start(self.rank, count)) / count

    def add_up(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all processes, the same bits everywhere."""
        with self._watched():
            dist.all_reduce(tensor)

    def gather(self, own: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """Return the bytes of every process, by rank; all must give as many."""
        mine = torch.from_numpy(own)
        found = [torch.empty_like(mine) for _ in range(self.workers)]
        with self._watched():
            dist.all_gather(found, mine)
        return [part.numpy() for part in found]

    def gather_objects(self, own: object) -> list[Any]:
        """Return an object of every process, by rank; the processes trust one another."""
        found: list[Any] = [None] * self.workers
        with self._watched():
            dist.all_gather_object(found, own)
        return found

    def tell(self, *message: object) -> None:
        """Send a message from the leader to those who listen."""
        self._send(pickle.dumps(message))

    def let_go(self) -> None:
        """Let those who listen go on to the next rollout."""
        self._send(b"")
        self.at_boundary = False

    def dismiss(self) -> None:
        """Send those who listen home; whoever is in a rollout notices by itself."""
        if self.at_boundary:
            self.at_boundary = False
            with contextlib.suppress(PeerLostError):  # they are gone already
                self.tell("end")

    def listen(self) -> tuple[Any, ...] | None:
        """Return the leader's next message; None says to go on."""
        size = torch.zeros(1, dtype=torch.int64)
        with self._watched():
            dist.broadcast(size, 0)
            if size.item() == _GO:
                return None
            content = torch.empty(int(size.item()), dtype=torch.uint8)
            dist.broadcast(content, 0)
        message: tuple[Any, ...] = pickle.loads(content.numpy().tobytes())
        return message

    def _send(self, content: bytes) -> None:
        with self._watched():
            dist.broadcast(torch.tensor([len(content)], dtype=torch.int64), 0)
            if content:
                dist.broadcast(torch.frombuffer(bytearray(content), dtype=torch.uint8), 0)

    def _start(self, rank: int, count: int) -> int:
        return rank * count // self.workers

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise PeerLostError(
                f"{self._lost()} of the {self.workers} that train this run is gone. Continue from "
                "the last checkpoint with --resume."
            ) from error


@contextlib.contextmanager
def process_group(rank: int, workers: int, method: str, timeout_s: float) -> Iterator[None]:
    """Meet the other processes, and part from them at the end.

    Args:
        rank: This process.
        workers: How many there are.
        method: Where they meet: ``env://`` or ``file://...``.
        timeout_s: Longest wait for one of them.
    """
    if dist.is_initialized():  # whoever started this process has made it, as Ray Train does
        yield
        return
    dist.init_process_group(
        "gloo",
        init_method=method,
        rank=rank,
        world_size=workers,
        timeout=datetime.timedelta(seconds=timeout_s),
    )
    try:
        yield
    finally:
        dist.destroy_process_group()
