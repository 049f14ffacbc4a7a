"""Threads of torch's operations, for the time of a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from roboyard.agents.spaces import has_images
from roboyard.agents.torch.peers import Peers


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Compute on ``count`` threads in the body, and on as many as before after it.

    Args:
        count: Another number rounds differently. None changes nothing.
    """
    before = torch.get_num_threads()
    wanted = before if count is None else count
    if wanted != before:
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def acting_threads(observation_space: gymnasium.Space[Any]) -> int | None:
    """Return how many threads to act on: one, unless observations have images.

    A batch is as small as the number of environments: more threads gain nothing, and go on
    spinning for a while on the cores that the environments need.
    """
    return None if has_images(observation_space) else 1


class OwnThreads(BaseAlgorithm):
    """An algorithm whose updates run on a number of threads of its own."""

    threads: int | None = None
    """Threads of an update's operations; None leaves them as they are."""
    peers: Peers | None = None
    """The processes that learn together with this one; None if it learns alone."""

    @property
    def can_share(self) -> bool:
        """Whether updates can be shared among processes, with these networks."""
        return False

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "threads", "peers"]
