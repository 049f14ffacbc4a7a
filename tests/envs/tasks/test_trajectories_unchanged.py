"""Every shipped task runs as it did when ``data/trajectories.json`` was recorded.

Values are compared to a relative 1e-6 of their size, because the mathematics library differs in
last bits between processors; ``python FILE digests`` prints exact digests, to compare two source
trees on one machine, and ``python FILE record`` renews the data after an intended change.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roboyard.envs.task_env import TaskEnv

DATA = Path(__file__).parent / "data" / "trajectories.json"
TASKS = (
    "a1-velocity", "a1-velocity-random", "a1-velocity-terrain", "ant-run", "cartpole-balance",
    "cartpole-swingup", "halfcheetah-run", "hopper-run", "humanoid-run", "kuka-vision-reach",
    "panda-pick-and-place", "panda-push", "panda-reach", "reacher", "walker2d-run",
)  # fmt: skip


def flat(observation: Any) -> list[np.ndarray]:
    if isinstance(observation, dict):
        return [np.asarray(observation[key]) for key in sorted(observation)]
    return [np.asarray(observation)]


def rows(env: Any, resets: int, steps: int) -> Any:
    """Yield observation, reward and end of every step; half-way it goes back to a snapshot."""
    generator = np.random.default_rng(7)
    for episode in range(resets):
        observation, _ = env.reset(seed=3 if episode == 0 else None)
        yield flat(observation), 0.0, False, False
        saved = None
        for number in range(steps):
            if number == steps // 2:
                saved = env.snapshot()
            action = generator.uniform(-1, 1, env.action_space.shape).astype(np.float32)
            observation, reward, terminated, truncated, _ = env.step(action)
            yield flat(observation), reward, terminated, truncated
            if terminated or truncated:
                break
        if saved is not None:
            env.restore(saved)
            still = np.zeros(env.action_space.shape, np.float32)
            observation, reward, terminated, truncated, _ = env.step(still)
            yield flat(observation), reward, terminated, truncated


def values(env: Any) -> list[list[float]]:
    """Return the reward and the sum of the observation in every step."""
    return [
        [float(reward), float(sum(part.astype(np.float64).sum() for part in parts))]
        for parts, reward, *_ in rows(env, 2, 6)
    ]


def digest(env: Any, steps: int) -> str:
    """Return a digest of all bits of a longer trajectory."""
    found = hashlib.sha256()
    for parts, *rest in rows(env, 4, steps):
        for part in parts:
            found.update(np.ascontiguousarray(part).tobytes())
        found.update(repr([float(value) for value in rest]).encode())
    found.update(env.snapshot())
    return found.hexdigest()


@pytest.mark.parametrize("task", TASKS)
def test_a_shipped_task_runs_as_recorded(task: str) -> None:
    env = TaskEnv(task)
    try:
        np.testing.assert_allclose(
            values(env), json.loads(DATA.read_text())[task], rtol=1e-6, atol=1e-6
        )
    finally:
        env.close()


def main() -> None:
    table: dict[str, Any] = {}
    for task in TASKS:
        env = TaskEnv(task)
        steps = 12 if "vision" in task else 80
        table[task] = values(env) if sys.argv[1] == "record" else digest(env, steps)
        env.close()
    if sys.argv[1] == "record":
        DATA.write_text(json.dumps(table, indent=None) + "\n")
    else:
        print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
