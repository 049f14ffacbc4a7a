"""The process-wide random generators: keep them, seed them, put them back."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch


class GeneratorStates(NamedTuple):
    """States of the global generators of Python, NumPy and torch (one per CUDA device)."""

    python: tuple[Any, ...]
    numpy: dict[str, Any]
    torch: torch.Tensor
    cuda: tuple[torch.Tensor, ...]


def capture() -> GeneratorStates:
    """Return the states of the global generators."""
    cuda = tuple(torch.cuda.get_rng_state_all()) if _uses_cuda() else ()
    numpy_state = np.random.get_state(legacy=False)
    return GeneratorStates(random.getstate(), dict(numpy_state), torch.get_rng_state(), cuda)


def _uses_cuda() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def restore(states: GeneratorStates) -> None:
    """Put the global generators back."""
    random.setstate(states.python)
    np.random.set_state(states.numpy)
    torch.set_rng_state(states.torch)
    if states.cuda:
        torch.cuda.set_rng_state_all(list(states.cuda))


def seeded(seed: int) -> GeneratorStates:
    """Seed the global generators and return their states."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return capture()


@contextlib.contextmanager
def preserved() -> Iterator[None]:
    """Leave the global generators as they are found, whatever happens inside."""
    states = capture()
    try:
        yield
    finally:
        restore(states)
