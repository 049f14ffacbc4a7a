"""Several requests as one batch, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from roboyard.policies.runtime.observation_check import Observation
from roboyard.policies.runtime.policy import State
from roboyard.serving.model.messages import Answer, Query

STATE_AXIS = 1
"""The batch axis of recurrent state, which has the shape (layers, batch, width)."""


def join(queries: Sequence[Query]) -> Query:
    """Return one request that holds the observations of all; all have state or none has."""
    states = [query.state for query in queries if query.state is not None]
    starts = [query.episode_start for query in queries if query.episode_start is not None]
    is_sampled = any(query.seeds is not None for query in queries)
    return Query(
        observation=_join_observations([query.observation for query in queries]),
        rows=sum(query.rows for query in queries),
        state=tuple(np.concatenate(parts, axis=STATE_AXIS) for parts in zip(*states, strict=True))
        if states
        else None,
        episode_start=np.concatenate(starts) if starts else None,
        seeds=tuple(seed for query in queries for seed in query.seeds or (None,) * query.rows)
        if is_sampled
        else None,
    )


def split(actions: np.ndarray, state: State | None, rows: Sequence[int]) -> list[Answer]:
    """Cut a batch's outcome into the requests' parts."""
    edges = np.cumsum(rows)[:-1]
    parts = np.split(actions, edges)
    if state is None:
        return [Answer(part, None) for part in parts]
    states = zip(*(np.split(array, edges, axis=STATE_AXIS) for array in state), strict=True)
    return [Answer(part, tuple(own)) for part, own in zip(parts, states, strict=True)]


def _join_observations(observations: Sequence[Observation]) -> Observation:
    if isinstance(observations[0], Mapping):
        keys = observations[0].keys()
        return {key: np.concatenate([_at(one, key) for one in observations]) for key in keys}
    return np.concatenate([one for one in observations if isinstance(one, np.ndarray)])


def _at(observation: Observation, key: str) -> np.ndarray:
    assert isinstance(observation, Mapping)
    return observation[key]
