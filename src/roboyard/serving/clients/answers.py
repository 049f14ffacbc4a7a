"""What a client gets back: actions, or an error of Roboyard's tree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from roboyard.errors import BridgeError, ConfigError, PolicyError, RoboyardError
from roboyard.policies.runtime.contract_reader import ObservationError
from roboyard.policies.runtime.observation_check import Observation
from roboyard.serving.http.tensors import load, load_header, save

_MAX_MESSAGE = 2000
State = tuple[np.ndarray, ...]


class Actions(NamedTuple):
    """What a server answered."""

    actions: np.ndarray
    """One action for one observation, a batch for a batch."""
    state: State | None
    """Recurrent state to send with the next observation; None without memory or in a session."""
    policy: str
    """Name of the policy."""
    version: str
    """Digest of the version that acted."""


def pack_request(
    observation: Observation,
    *,
    state: State | None = None,
    episode_start: bool | np.ndarray | None = None,
    seed: int | None = None,
) -> bytes:
    """Return a request in the binary form."""
    arrays: dict[str, np.ndarray] = {}
    if isinstance(observation, Mapping):
        arrays.update({f"observation.{key}": np.asarray(part) for key, part in observation.items()})
    else:
        arrays["observation"] = np.asarray(observation)
    arrays.update({f"state.{index}": np.asarray(part) for index, part in enumerate(state or ())})
    if episode_start is not None:
        arrays["episode_start"] = np.asarray(episode_start, bool)
    if seed is not None:
        arrays["seed"] = np.asarray(seed, np.int64)
    for name, array in arrays.items():
        if array.dtype.kind not in "iufb":
            raise ObservationError(f"'{name}' must be numbers; it has the type {array.dtype}.")
    return save(arrays)


def unpack_reply(body: bytes) -> Actions:
    """Read a reply in the binary form.

    Raises:
        BridgeError: It is damaged.
    """
    try:
        arrays = load(body)
        facts = load_header(body)["__metadata__"]
        states = [arrays[f"state.{index}"] for index in range(len(arrays) - 1)]
        return Actions(
            arrays["actions"], tuple(states) or None, str(facts["policy"]), str(facts["version"])
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BridgeError(f"the server's answer cannot be read ({error!r}).") from error


def error_of(status: int, body: bytes | str, where: str) -> RoboyardError:
    """Return the error that a refusal stands for."""
    try:
        message = str(json.loads(body)["error"]["message"])[:_MAX_MESSAGE]
    except (ValueError, KeyError, TypeError, RecursionError):
        message = f"status {status}"
    text = f"{where}: {message}"
    if status in (401, 403):
        return ConfigError(f"{text} Give the client its token.")
    if status == 422:
        return ObservationError(text)
    if status in (400, 404, 413, 415):
        return PolicyError(text)
    return BridgeError(text)
