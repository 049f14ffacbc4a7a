"""Does a graph act as the policy that it was made from? Asked on observations of real episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import gymnasium
import numpy as np

from roboyard.errors import PolicyError
from roboyard.policies.loaded import LoadedPolicy, State
from roboyard.policies.runtime.normalizer import Observation
from roboyard.policies.spaces import AnySpace
from roboyard.seeds import derive_seeds

TOLERANCE = 1e-5
"""Largest difference of an action; see ``difference`` for its unit."""
OBSERVATIONS = 1000


class Actor(Protocol):
    """What is compared with the policy."""

    def predict(
        self,
        observation: Observation,
        state: State | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> Any:  # noqa: ANN401  (a pair of actions and state)
        """Act as ``LoadedPolicy.predict``."""


class Parity(NamedTuple):
    """How far a graph's actions are from the policy's."""

    observations: int
    """Observations of real episodes that were compared."""
    largest_difference: float
    """Largest of their differences; see ``difference``."""
    tolerance: float = TOLERANCE
    """What was allowed."""


class _Step(NamedTuple):
    observation: Observation
    actions: np.ndarray
    state: State | None
    start: np.ndarray


def check_parity(
    policy: LoadedPolicy, actor: Actor, env: gymnasium.Env[Any, Any], count: int = OBSERVATIONS
) -> Parity:
    """Compare a graph with its policy; each keeps a recurrent state of its own.

    Args:
        policy: The policy, which drives the environment.
        actor: The graph.
        env: One environment of the kind that the policy was trained in; the caller closes it.
        count: Observations to compare.

    Raises:
        PolicyError: They differ by more than ``TOLERANCE``.
    """
    state: State | None = None
    largest = 0.0
    seen: list[_Step] = []
    for step in _steps(policy, env, count):
        actions, state = actor.predict(step.observation, state, step.start)
        largest = max(largest, difference(actions, step.actions, policy.action_space))
        seen.append(step)
    if state is None:
        largest = max(largest, _in_one_batch(policy, actor, seen))
    if not largest <= TOLERANCE:
        raise PolicyError(
            f"the graph's actions differ from the policy's by up to {largest:.3g} on {count} "
            f"observations of '{_name(env)}', more than {TOLERANCE:g}; it is not written. A layer "
            "of your own that branches on values cannot be traced."
        )
    return Parity(len(seen), largest)


def difference(first: np.ndarray, second: np.ndarray, space: AnySpace) -> float:
    """Return the largest difference of two batches of actions.

    Args:
        first: Actions.
        second: Actions of the same shape.
        space: Where an entry of a Box can be larger than 1 (in its bounds), the difference is
            counted as a share of that: float32 holds seven digits of any number.
    """
    if first.shape != second.shape or first.dtype != second.dtype:
        return float("inf")
    scale: np.ndarray | float = 1.0
    if isinstance(space, gymnasium.spaces.Box):
        scale = np.maximum(1.0, np.maximum(np.abs(space.low), np.abs(space.high)))
    gaps = np.abs(first.astype(np.float64) - second.astype(np.float64)) / scale
    return float(gaps.max()) if np.isfinite(gaps).all() else float("inf")


def _steps(policy: LoadedPolicy, env: gymnasium.Env[Any, Any], count: int) -> Iterator[_Step]:
    """Drive whole episodes with the policy and yield each observation and action."""
    seeds = iter(derive_seeds(0, "parity", count))
    raw, _ = env.reset(seed=next(seeds))
    start, state = np.ones(1, dtype=bool), None
    for _ in range(count):
        observation = _batch(raw)
        actions, state = policy.predict(observation, state, start)
        yield _Step(observation, actions, state, start)
        raw, _, terminated, truncated, _ = env.step(actions[0])
        start = np.array([terminated or truncated])
        if start[0]:
            raw, _ = env.reset(seed=next(seeds))


def _in_one_batch(policy: LoadedPolicy, actor: Actor, seen: list[_Step]) -> float:
    """Compare all observations at once, which shows a batch that was fixed by tracing."""
    arrays = [step.observation for step in seen if not isinstance(step.observation, dict)]
    dicts = [step.observation for step in seen if isinstance(step.observation, dict)]
    batch: Observation
    if dicts:
        batch = {key: np.concatenate([part[key] for part in dicts]) for key in dicts[0]}
    else:
        batch = np.concatenate(arrays)
    actions = actor.predict(batch)[0]
    return difference(actions, policy.predict(batch).actions, policy.action_space)


def _batch(raw: Any) -> Observation:  # noqa: ANN401  (as many kinds as there are spaces)
    if isinstance(raw, Mapping):
        return {key: np.asarray(value)[None] for key, value in raw.items()}
    return np.asarray(raw)[None]


def _name(env: gymnasium.Env[Any, Any]) -> str:
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__
