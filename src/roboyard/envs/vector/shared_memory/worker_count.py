"""How many worker processes are worth it.

The choice never changes a result: trajectories are the same with any number of workers.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Final

import gymnasium
import numpy as np

_STEP_OVERHEAD_S: Final = 90e-6
_WORKER_OVERHEAD_S: Final = 15e-6
"""What waking workers and waiting for them costs per vectorised step [s], measured by
``benchmarks/vectorization.py`` as the time beyond the slower worker's own."""
_WORTH_IT: Final = 0.8
"""Workers are used when a vectorised step takes at most this share of its time without."""


def choose_workers(*, cores: int, num_envs: int, step_cost: float) -> int:
    """Return the number of worker processes under which a vectorised step is shortest.

    Args:
        cores: Cores to use.
        num_envs: How many environments are stepped together.
        step_cost: Time of one control step of one of them [s].

    Returns:
        0 (step in this process), or at least 2.

    Example:
        >>> choose_workers(cores=2, num_envs=16, step_cost=250e-6)
        2
        >>> choose_workers(cores=2, num_envs=4, step_cost=30e-6)
        0
    """

    def duration(workers: int) -> float:
        slowest = -(-num_envs // workers) * step_cost
        return slowest + _STEP_OVERHEAD_S + workers * _WORKER_OVERHEAD_S

    candidates = range(2, min(cores, num_envs) + 1)
    if not candidates:
        return 0
    best = min(candidates, key=duration)
    return best if duration(best) <= _WORTH_IT * num_envs * step_cost else 0


def measure_step_cost(
    make: Callable[[], gymnasium.Env[Any, Any]], *, seconds: float = 0.05
) -> float:
    """Time control steps of a throwaway environment with random actions.

    The global generators of Python and NumPy are put back, so a run is the same with and
    without the measurement.

    Args:
        make: Returns a new environment.
        seconds: For how long to step.

    Returns:
        Median time of a control step [s], resets left out.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    env = make()
    try:
        env.action_space.seed(0)
        env.reset(seed=0)
        durations: list[float] = []
        while len(durations) < 5 or sum(durations) < seconds:
            action = env.action_space.sample()
            start = time.perf_counter()
            _, _, terminated, truncated, _ = env.step(action)
            durations.append(time.perf_counter() - start)
            if terminated or truncated:
                env.reset()
    finally:
        env.close()
        random.setstate(python_state)
        np.random.set_state(numpy_state)
    return float(np.median(durations))
