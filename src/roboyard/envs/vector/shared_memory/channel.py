"""Bytes and messages over a pair of pipes.

A control step is one byte each way. Measured on two cores with two workers: pipes and eventfd
cost 100 us per vectorised step, a socket pair 120, ``multiprocessing.Connection`` 160; spinning
takes the cores from the workers as soon as there are as many workers as cores.
"""

from __future__ import annotations

import os
import pickle
import struct
from typing import Final

STEP: Final = b"s"
"""To a worker: step with the actions in shared memory. Back: done, nothing else to say."""
MESSAGE: Final = b"m"
"""A pickled object follows."""
FAILED: Final = b"f"
"""A pickled ``Failure`` follows; the worker goes on serving."""
FATAL: Final = b"x"
"""A pickled ``Failure`` follows; the worker ends."""

_LENGTH = struct.Struct("<q")
_CHUNK = 1 << 20


class DisconnectedError(Exception):
    """The other end is gone."""


class WorkerChannel:
    """One end of a two-way connection."""

    def __init__(self, read: int, write: int) -> None:
        """Use two descriptors, which stay the caller's to close."""
        self.read = read
        self.write = write

    def signal(self, kind: bytes) -> None:
        """Send one byte.

        Raises:
            DisconnectedError: The other end is gone.
        """
        try:
            os.write(self.write, kind)
        except BrokenPipeError as error:
            raise DisconnectedError from error

    def send(self, kind: bytes, payload: bytes) -> None:
        """Send a message.

        Raises:
            DisconnectedError: The other end is gone.
        """
        rest = memoryview(kind + _LENGTH.pack(len(payload)) + payload)
        try:
            while rest:
                rest = rest[os.write(self.write, rest[:_CHUNK]) :]
        except BrokenPipeError as error:
            raise DisconnectedError from error

    def receive_kind(self) -> bytes:
        """Wait for the first byte of what comes next.

        Raises:
            DisconnectedError: The other end is gone.
        """
        kind = os.read(self.read, 1)
        if not kind:
            raise DisconnectedError
        return kind

    def receive_payload(self) -> bytearray:
        """Return the payload that follows the first byte.

        Raises:
            DisconnectedError: The other end is gone.
        """
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        return self._exactly(length)

    def _exactly(self, count: int) -> bytearray:
        data = bytearray(count)
        rest = memoryview(data)
        while rest:
            received = os.readv(self.read, [rest])
            if not received:
                raise DisconnectedError
            rest = rest[received:]
        return data


def dump(value: object) -> bytes:
    """Pickle ``value``, by value where it cannot be imported by name on the other side."""
    try:
        return pickle.dumps(value, protocol=5)
    except Exception:
        return dump_by_value(value)


def dump_by_value(value: object) -> bytes:
    """Pickle ``value`` so that what a script or a notebook defines travels with it."""
    import cloudpickle  # type: ignore[import-untyped]  # comes with stable-baselines3

    data: bytes = cloudpickle.dumps(value, protocol=5)
    return data
