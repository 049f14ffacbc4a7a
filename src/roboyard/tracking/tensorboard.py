"""TensorBoard event files, without torch or a background thread.

TensorBoard's own writers buffer in a thread and cannot take anything back. Here every row
is on its way to the disk when ``write`` returns, and a continued run cuts the file.
"""

from __future__ import annotations

import io
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from roboyard.tracking.files import AppendFile

_FILE_NAME = "events.out.tfevents.0000000000.roboyard"
_LENGTH = struct.Struct("<Q")
_CHECKSUM_BYTES = 4


class TensorBoardWriter:
    """Appends scalars to one event file in ``folder``."""

    def __init__(self, folder: Path) -> None:
        """Write into ``folder``; the file is made by the first row."""
        self._file = AppendFile(folder / _FILE_NAME)

    @property
    def path(self) -> Path:
        """The event file."""
        return self._file.path

    def write(self, metrics: Mapping[str, float], step: int) -> None:
        """Append one event with all the scalars.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=key, simple_value=value) for key, value in metrics.items()]
        event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
        if not self.path.exists():
            header = Event(wall_time=time.time(), file_version="brain.Event:2")
            self._file.append(_record(header.SerializeToString()))
        self._file.append(_record(event.SerializeToString()))

    def truncate_after(self, step: int) -> None:
        """Forget every event of a later step, and a last event that was cut short."""
        from tensorboard.compat.proto.event_pb2 import Event

        if not self.path.exists():
            return
        data = self.path.read_bytes()
        kept = [
            data[part.start : part.stop]
            for part in _records(data)
            if Event.FromString(_payload(data, part)).step <= step
        ]
        if sum(map(len, kept)) != len(data):
            self._file.replace(kept)

    def flush(self) -> None:
        """Force the events to the disk."""
        self._file.flush()

    def fingerprint(self) -> tuple[int, str]:
        """Return length and SHA-256 of the file."""
        return self._file.fingerprint()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _record(payload: bytes) -> bytes:
    """Frame an event: length, checksum of the length, payload, checksum of the payload."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    RecordWriter(buffer).write(payload)
    return buffer.getvalue()


def _records(data: bytes) -> Iterator[slice]:
    """Yield where each whole record lies."""
    start = 0
    while start + _LENGTH.size <= len(data):
        (length,) = _LENGTH.unpack_from(data, start)
        stop = start + _LENGTH.size + _CHECKSUM_BYTES + length + _CHECKSUM_BYTES
        if stop > len(data):
            return
        yield slice(start, stop)
        start = stop


def _payload(data: bytes, part: slice) -> bytes:
    return data[part.start + _LENGTH.size + _CHECKSUM_BYTES : part.stop - _CHECKSUM_BYTES]
