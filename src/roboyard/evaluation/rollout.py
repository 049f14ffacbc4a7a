"""One environment, step by step, for looking at: the same episodes as an evaluation's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from stable_baselines3.common.type_aliases import PolicyPredictor

from roboyard.evaluation import generators
from roboyard.evaluation.fit import check_spaces
from roboyard.evaluation.parallel_rollouts import Lanes
from roboyard.seeds import derive_seeds

MAX_EPISODES = 10_000
"""Seeds made ahead; more than anyone looks at."""


class Moment(NamedTuple):
    """Where a rollout stands after a reset or a step."""

    episode: int
    """Number of the episode, from 0."""
    step: int
    """Control steps done in this episode."""
    total_reward: float
    """Sum of its rewards so far."""
    done: bool
    """Whether this was the episode's last step."""


def rollout(
    env: gymnasium.Env[Any, Any],
    policy: PolicyPredictor,
    *,
    max_steps: int | None,
    episodes: int | None = None,
    seed: int = 0,
    deterministic: bool = True,
) -> Iterator[Moment]:
    """Run episodes one after another and yield after each reset and each step.

    Episode ``k`` starts from the same seed as episode ``k`` of an evaluation with this seed. The
    global random generators are left as found, between the yields too.

    Args:
        env: The environment; the caller closes it.
        policy: Anything with SB3's ``predict``.
        max_steps: Control steps in all; None for no limit.
        episodes: Episodes in all; None for no limit.
        seed: Seed of the episodes.
        deterministic: Ask for the most likely action instead of a sample.
    """
    check_spaces(policy, env.observation_space, env.action_space)
    count = MAX_EPISODES if episodes is None else episodes
    seeds = derive_seeds(seed, "evaluation", count)
    policy_seeds = derive_seeds(seed, "evaluation-policy", count)
    lanes = Lanes(policy, env.action_space, 1, deterministic, policy_seeds)
    budget = itertools.count() if max_steps is None else iter(range(max_steps))
    for number in range(count):
        with generators.preserved():
            observation, _ = env.reset(seed=seeds[number])
        total, step = 0.0, 0
        starting: list[int | None] = [number]
        yield Moment(number, 0, 0.0, False)
        for _ in budget:
            with generators.preserved():
                action = lanes.act(_batch(observation), starting, np.ones(1, dtype=bool))[0]
                observation, reward, terminated, truncated, _ = env.step(action)
            starting = [None]
            total, step = total + float(reward), step + 1
            yield Moment(number, step, total, terminated or truncated)
            if terminated or truncated:
                break
        else:
            return


def _batch(observation: object) -> Any:  # noqa: ANN401  # as nested as the space
    """Return the observation with a leading axis of one."""
    if isinstance(observation, dict):
        return {key: _batch(value) for key, value in observation.items()}
    if isinstance(observation, tuple):
        return tuple(_batch(value) for value in observation)
    return np.asarray(observation)[None]
