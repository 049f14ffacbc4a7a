"""What the process for strangers' content does: read large JSON bodies, and try bundles out.

``python -m roboyard.serving.tasks BYTES`` reads tasks from standard input and writes outcomes to
standard output, until its server has gone. Outcomes are safetensors blobs with one text beside
the arrays, never pickle.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from roboyard.errors import RoboyardError
from roboyard.serving.http import codec
from roboyard.serving.http.errors import HTTPError
from roboyard.serving.http.tensors import save
from roboyard.serving.task_process import limit_memory, limit_time

_NICE = 10  # Requests come before.


def read_json(body: bytes, limit: int) -> bytes:
    """Return a JSON request as arrays and, under ``rest``, what is not a list of numbers.

    Raises:
        HTTPError: It cannot be read, or holds more numbers than ``limit``.
    """
    message = codec.decode_json(body)
    arrays: dict[str, np.ndarray] = {}
    observation = message.observation
    parts = observation if isinstance(observation, dict) else {"": observation}
    for key, part in parts.items():
        if isinstance(part, list):
            arrays[f"observation.{key}"] = _numbers(part, key or "observation")
    for index, part in enumerate(message.state or ()):
        arrays[f"state.{index}"] = _numbers(part, "state")
    if sum(array.size for array in arrays.values()) > limit:
        raise HTTPError(
            422,
            "observation",
            f"the request holds more numbers than the policy takes at once ({limit}).",
            entry="observation",
        )
    rest = {
        "observation": {key: value for key, value in parts.items() if not isinstance(value, list)},
        "is_dict": isinstance(observation, dict),
        "episode_start": message.episode_start,
        "seed": message.seed,
        "id": message.id,
    }
    return save(arrays, {"rest": json.dumps(rest)})


def open_bundle(path: bytes, limit: int) -> bytes:
    """Open and run a bundle once, as a server does.

    Raises:
        PolicyError: It is damaged or does not run.
    """
    from roboyard.policies.runtime.policy import RuntimePolicy
    from roboyard.serving.model.warming import warm_up

    warm_up(RuntimePolicy.open(path.decode()), limit)
    return save({})


TASKS: dict[str, Callable[[bytes, int], bytes]] = {"json": read_json, "bundle": open_bundle}
"""By name."""


def _numbers(value: object, entry: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        array = np.empty((), object)
    if array.dtype.kind not in "iuf":
        raise HTTPError(
            422,
            "state" if entry == "state" else "observation",
            f"'{entry[:100]}' must be numbers in lists of equal length.",
            entry=entry[:100],
        )
    return array


def _outcome(task: str, content: bytes, limit: int) -> bytes:
    try:
        return TASKS[task](content, limit)
    except HTTPError as refusal:
        facts = {"status": refusal.status, "code": refusal.code, "entry": refusal.entry}
        return save({}, {"refusal": json.dumps({**facts, "message": str(refusal)})})
    except RoboyardError as error:
        return save({}, {"error": str(error)})
    except MemoryError:
        return save({}, {"error": "it takes too much memory"})


def _serve(source: BinaryIO, target: BinaryIO) -> None:
    while line := source.readline():
        task, size, seconds, limit = line.decode().split()
        limit_time(float(seconds))
        outcome = _outcome(task, source.read(int(size)), int(limit))
        target.write(len(outcome).to_bytes(8, "little") + outcome)
        target.flush()


def main() -> None:
    """Do tasks until there are no more."""
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What a library prints is no outcome.
    os.nice(_NICE)
    limit_memory(int(sys.argv[1]))
    _serve(sys.stdin.buffer, target)


if __name__ == "__main__":
    main()
