"""The two forms of a request and its reply: JSON, and safetensors for little overhead.

JSON::

    {"observation": [0.0, 0.1], "state": [...], "episode_start": true, "seed": 1, "id": 7}
    {"actions": [0.3], "policy": "cartpole", "version": "1f0c...", "state": [...], "id": 7}

The binary form (content type ``application/x-safetensors``) is one safetensors blob: 8 bytes with
the length of the header, a JSON header with type, shape and place of each array, the arrays. Its
arrays are called ``observation`` (or ``observation.KEY`` for each key of a Dict), ``state.0``,
``state.1``, ..., ``episode_start`` and ``seed``; in the reply ``actions`` and ``state.*``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from roboyard.registry import suggest
from roboyard.serving.http import strict_json
from roboyard.serving.http.errors import HTTPError
from roboyard.serving.http.tensors import load, save

BINARY = "application/x-safetensors"
JSON = "application/json"
MAX_SEED = 2**53
"""Larger numbers are not exact in every JSON reader."""
MAX_ID_BYTES = 1024
"""Longest ``id`` as JSON [bytes]."""
_KEYS = ("observation", "state", "episode_start", "seed", "id")


@dataclass(frozen=True, slots=True)
class Message:
    """A request as the client wrote it; nothing is checked but its outer form."""

    observation: object
    """JSON value, array, or mapping of either."""
    state: Sequence[object] | None = None
    """Arrays of recurrent state."""
    episode_start: object = None
    """One truth value, or one for each observation."""
    seed: object = None
    """Asks for a sample instead of the likeliest action."""
    id: JsonValue = None
    """Sent back as it is."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back."""

    actions: np.ndarray
    policy: str
    version: str
    state: tuple[np.ndarray, ...] | None = None
    id: JsonValue = None


def malformed(message: str) -> HTTPError:
    """Return the refusal of a body that cannot be read."""
    return HTTPError(422, "malformed", message)


def decode_json(body: bytes | bytearray | str) -> Message:
    """Read the JSON form.

    Raises:
        HTTPError: It is not JSON, not an object, or has unknown keys.
    """
    try:
        text = strict_json.decode(body)
        content = strict_json.parse(text)
    except ValueError as error:
        raise malformed(f"the body is not JSON ({str(error)[:200]}).") from None
    if not isinstance(content, dict) or "observation" not in content:
        raise malformed('the body must be an object such as {"observation": [0.0, 0.1]}.')
    for key in content:
        if key not in _KEYS:
            raise malformed(
                f"the body has an unknown key '{key[:100]}'. Allowed: {', '.join(_KEYS)}."
                f"{suggest(key[:100], _KEYS)}"
            )
    state = content.get("state")
    if state is not None and not isinstance(state, list):
        raise HTTPError(422, "state", "'state' must be the list that the last reply held.")
    if "true" in text or "false" in text:
        refuse_flags("observation", content["observation"])
    _check_id(content.get("id"))
    return Message(**content)


def _check_id(value: object) -> None:
    """Refuse what could not be sent back."""
    if value is None or (type(value) is int and abs(value) < MAX_SEED):
        return
    try:
        strict_json.encode_plain(value, MAX_ID_BYTES)
    except ValueError as error:
        raise malformed(f"'id' cannot be sent back: {str(error)[:100]}.") from None


def refuse_flags(part: str, value: object) -> None:
    """Refuse truth values, which NumPy would take for numbers.

    Raises:
        HTTPError: There is one.
    """
    if _holds_flag(value):
        raise HTTPError(422, part, f"'{part}' must be numbers; it holds true or false.", entry=part)


def _holds_flag(value: object) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, bool):
            return True
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend(one.values())
    return False


def decode_binary(body: bytes | bytearray) -> Message:
    """Read the binary form.

    Raises:
        HTTPError: It is not safetensors, or has unknown arrays.
    """
    try:
        arrays = load(body)
    except (ValueError, RecursionError) as error:
        raise malformed(f"the body is not safetensors ({str(error)[:200]}).") from None
    observation: dict[str, np.ndarray] = {}
    states: dict[int, np.ndarray] = {}
    for name, array in arrays.items():
        head, dot, tail = name.partition(".")
        if head == "observation":
            observation[tail] = array
        elif head == "state" and tail.isascii() and tail.isdecimal() and len(tail) < 4:
            states[int(tail)] = array
        elif dot or head not in ("episode_start", "seed"):
            raise malformed(
                f"the body has an unknown array '{name[:100]}'. Allowed: observation, "
                "observation.KEY, state.N, episode_start, seed."
            )
    if not observation:
        raise malformed("the body has no array 'observation'.")
    if sorted(states) != list(range(len(states))):
        raise HTTPError(422, "state", "the arrays of 'state' must be numbered 0, 1, ...")
    seed = arrays.get("seed")
    return Message(
        observation=observation[""] if set(observation) == {""} else observation,
        state=[states[index] for index in sorted(states)] or None,
        episode_start=arrays.get("episode_start"),
        seed=seed.item() if seed is not None and seed.size == 1 else seed,
    )


def encode_json(reply: Reply) -> bytes:
    """Write the JSON form."""
    content: dict[str, object] = {
        "actions": reply.actions.tolist(),
        "policy": reply.policy,
        "version": reply.version,
    }
    if reply.state is not None:
        content["state"] = [array.tolist() for array in reply.state]
    if reply.id is not None:
        content["id"] = reply.id
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def encode_binary(reply: Reply) -> bytes:
    """Write the binary form."""
    arrays = {"actions": reply.actions}
    arrays.update({f"state.{index}": array for index, array in enumerate(reply.state or ())})
    return save(arrays, {"policy": reply.policy, "version": reply.version})
