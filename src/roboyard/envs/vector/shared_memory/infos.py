"""What environments have to say about a step besides numbers, cheap to send.

What belongs to the end of an episode is packed before the reset, because an environment may hand
out the same objects after it. Pickling an array costs ten times what copying its bytes does.
"""

from __future__ import annotations

import pickle
from typing import Any, Final, TypeAlias

import numpy as np

from roboyard.envs.vector.shared_memory.channel import dump

Info: TypeAlias = dict[str, Any]
Note: TypeAlias = tuple[int, Info | bytes, Info | None]
"""Index of an environment; its info, or the packed end of its episode, and the reset's info."""

TERMINAL: Final = "terminal_observation"
_TRUNCATED: Final = "TimeLimit.truncated"
_PLAIN: Final = "biuf"
"""Kinds of numbers whose bytes, type and shape are all there is."""


def pack_end(info: Info, observation: object, timed_out: bool) -> bytes:
    """Return the last info of an episode with its last observation, as bytes."""
    end = {**info, _TRUNCATED: timed_out}
    if type(observation) is np.ndarray and observation.dtype.kind in _PLAIN:
        array = observation.dtype.str, observation.shape, observation.tobytes()
        return dump((end, array, None))
    return dump((end, None, observation))


def unpack_end(data: bytes) -> Info:
    """Return the last info of an episode, as ``DummyVecEnv`` gives it."""
    info: Info
    info, array, observation = pickle.loads(data)
    if array is not None:
        dtype, shape, content = array
        observation = np.frombuffer(content, dtype).reshape(shape).copy()
    info[TERMINAL] = observation
    return info


def without_end(info: Info) -> Info:
    """Return the info of a step in the midst of an episode, as ``DummyVecEnv`` gives it."""
    info.setdefault(_TRUNCATED, False)
    return info
