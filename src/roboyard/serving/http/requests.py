"""From a message to a checked query, and from an answer to a reply."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from roboyard.errors import PolicyError
from roboyard.policies.runtime.contract_reader import Contract, NotFiniteError
from roboyard.policies.runtime.policy import ObservationError, State
from roboyard.serving.http.codec import MAX_SEED, Message, Reply, refuse_flags
from roboyard.serving.http.describe import zero_state
from roboyard.serving.http.errors import HTTPError
from roboyard.serving.http.observation_check import check
from roboyard.serving.model.catalog import Version
from roboyard.serving.model.messages import Answer, Query

_LOG = logging.getLogger("roboyard.serving")


class Prepared(NamedTuple):
    """A request that may go to the network."""

    query: Query
    is_single: bool
    """Whether the reply holds one action without the batch axis."""


def prepare(message: Message, version: Version, max_rows: int) -> Prepared:
    """Check the form of a message; the policy itself checks the values before it acts.

    Raises:
        HTTPError: It does not fit; the message names the entry.
    """
    contract = version.contract
    checked = check(message.observation, contract, max_rows)
    rows = checked.rows
    state = _state(message.state, contract, rows) if contract.is_recurrent else None
    starts = _starts(message.episode_start, rows, contract.is_recurrent)
    query = Query(checked.observation, rows, state, starts, _seeds(message.seed, rows))
    return Prepared(query, checked.is_single)


async def run(query: Query, version: Version) -> Answer:
    """Put a query through the policy.

    Raises:
        HTTPError: A value is wrong and the message names the entry, or the policy failed.
    """
    try:
        return await version.batcher.run(query)
    except ObservationError as error:
        entry = error.entry or "observation"
        raise HTTPError(422, "observation", str(error), entry=entry) from None
    except NotFiniteError as error:
        reason = f"{error} The observation or the state holds a number too large for it."
        raise HTTPError(422, "observation", reason, entry="observation") from None
    except PolicyError as error:
        _LOG.error("policy failed", extra={"policy": version.name, "reason": str(error)})
        raise HTTPError(500, "policy", f"the policy failed: {error}") from error


def reply_to(message: Message, prepared: Prepared, answer: Answer, version: Version) -> Reply:
    """Return the reply in the shape of the request."""
    actions = answer.actions[0] if prepared.is_single else answer.actions
    return Reply(np.asarray(actions), version.name, version.digest, answer.state, message.id)


def _state(given: Sequence[object] | None, contract: Contract, rows: int) -> State:
    zeros = zero_state(contract, rows)
    if given is None:
        return zeros
    refuse_flags("state", given)
    try:
        with np.errstate(over="ignore"):  # What becomes infinite is refused below.
            arrays = tuple(_as_state(part) for part in given)
    except (ValueError, TypeError, OverflowError):
        arrays = ()
    if [part.shape for part in arrays] != [zero.shape for zero in zeros] or not all(
        np.isfinite(part).all() for part in arrays
    ):
        raise HTTPError(
            422,
            "state",
            f"'state' must be the list that the last reply held: {len(zeros)} arrays of finite "
            f"numbers of shapes {', '.join(str(zero.shape) for zero in zeros)}.",
            entry="state",
        )
    return arrays


def _as_state(part: object) -> np.ndarray:
    array = np.asarray(part)
    if array.dtype.kind not in "iuf":
        raise TypeError
    return array.astype(np.float32, copy=False)


def _starts(given: object, rows: int, is_recurrent: bool) -> np.ndarray | None:
    """Return which observations begin an episode; policies without memory only check the form."""
    flags = np.zeros(rows, bool) if given is None else _flags(given)
    if flags is None or (is_recurrent and flags.shape not in ((), (rows,), (1,))):
        raise HTTPError(
            422,
            "episode_start",
            f"'episode_start' must be true or false, or a list of {rows} of them.",
            entry="episode_start",
        )
    return np.broadcast_to(flags, (rows,)) if is_recurrent else None


def _flags(given: object) -> np.ndarray | None:
    if isinstance(given, np.ndarray):
        is_flag = given.dtype.kind in "biuf" and given.ndim < 2 and np.isin(given, (0, 1)).all()
        return given.astype(bool) if is_flag else None
    listed = given if isinstance(given, list) else [given]
    if not all(isinstance(flag, bool) for flag in listed):
        return None
    return np.asarray(given, bool)


def starts_all(given: object) -> bool:
    """Return whether ``episode_start`` begins an episode for every robot."""
    try:
        starts = np.asarray(given)
    except ValueError:
        return False
    return starts.dtype.kind in "biuf" and bool(starts.all())


def _seeds(given: object, rows: int) -> tuple[int, ...] | None:
    if given is None:
        return None
    if isinstance(given, float) and given.is_integer():
        given = int(given)  # JSON does not tell 1.0 from 1.
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= MAX_SEED:
        raise HTTPError(
            422, "seed", f"'seed' must be a whole number from 0 to {MAX_SEED}.", entry="seed"
        )
    return tuple(range(given, given + rows))
