"""Control steps per second of SimpleRobotEnv on one core, and where the time goes.

Run: OMP_NUM_THREADS=1 python benchmarks/simple_env.py
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

import numpy as np

from roboyard.envs.simple import SimpleRobotEnv

# Many short rounds: on a busy machine the best of them is a quiet moment.
ROUNDS = 100
STEPS = 500


def steps_per_second(env: SimpleRobotEnv, actions: list[np.ndarray]) -> float:
    """Step with random actions, resets included."""
    env.reset(seed=0)
    start = time.perf_counter()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return len(actions) / (time.perf_counter() - start)


def microseconds(call: Callable[[], object]) -> float:
    """Return the best of all rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(STEPS):
            call()
        best = min(best, time.perf_counter() - start)
    return best / STEPS * 1e6


def main() -> None:
    env = SimpleRobotEnv(max_episode_steps=None)
    generator = np.random.default_rng(0)
    actions = list(generator.uniform(-1, 1, (STEPS, 1)).astype(np.float32))
    rates = [steps_per_second(env, actions) for _ in range(ROUNDS)]
    env.reset(seed=0)
    zero = np.zeros(1, np.float32)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}\n")
    print("| measure | value |\n|---|---|")
    print(f"| control steps with resets, median of {ROUNDS} | {np.median(rates):,.0f} /s |")
    print(f"| the same, best | {max(rates):,.0f} /s |")
    rows = {
        "whole control step": lambda: env.step(zero),
        "physics alone (2 steps)": env.world.step,
        "action": lambda: env._apply(zero),
        "reading": env._read,
        "observation": env._observe,
        "reset": env.reset,
    }
    for name, call in rows.items():
        print(f"| {name} | {microseconds(call):.1f} us |")
    env.close()


if __name__ == "__main__":
    main()
