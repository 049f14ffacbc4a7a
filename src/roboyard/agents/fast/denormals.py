"""Numbers next to zero, with which processors are slow.

What Adam remembers of a weight that gets no gradients, of a unit that is never active say, halves
every few steps until it is below 1e-38. From there on each operation with it takes a hundred
times as long, and Adam's step several times.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def flushed() -> Iterator[None]:
    """Take such numbers for zero in this thread, as compilers for accelerators do.

    Not where torch computes on several threads, whose modes cannot be set.
    """
    if torch.get_num_threads() > 1 or _are_flushed() or not torch.set_flush_denormal(True):
        yield
        return
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _are_flushed() -> bool:
    return not (torch.tensor(1e-38) * 0.1).item()
