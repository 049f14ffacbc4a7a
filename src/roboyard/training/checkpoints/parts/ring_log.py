"""A ring of rows that grows on disk by what is new.

Rows are written to *segments*, files that are never changed again. A checkpoint only lists
those from which the ring can be put together: each segment says which rows of which columns it
holds, and a later one overrides an earlier one. A segment that has been overridden altogether is
no longer listed, and removed once no checkpoint lists it.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from roboyard.storage import atomic
from roboyard.storage.leases.guard import check_right
from roboyard.training.checkpoints.manifest import SEGMENTS, FileFacts
from roboyard.training.checkpoints.parts.base import (
    AnyArray,
    read_arrays,
    read_json,
    write_arrays,
    write_json,
)

MAX_SEGMENTS = 200
"""With more than this many, everything is written anew, so that loading stays quick."""
_GAP = 256
_INDEX = "replay.json"

Ranges = list[tuple[int, int]]


class Columns(NamedTuple):
    """The arrays of a ring; the first axis of each is the row."""

    streamed: Mapping[str, AnyArray]
    """Those that change only at the position."""
    tracked: Mapping[str, AnyArray]
    """Those that may change anywhere, and are compared with what was saved last."""


@dataclasses.dataclass(frozen=True)
class Segment:
    """One file, and what it holds; ``*`` stands for all streamed columns."""

    name: str
    bytes: int
    sha256: str
    ranges: Mapping[str, Ranges]


class RingLog:
    """Writes what is new in a ring, and puts a ring together again."""

    def __init__(self, columns: Columns, size: int) -> None:
        """Own ``columns``, which still have their first content.

        Args:
            columns: The arrays.
            size: Rows of each.
        """
        self._columns = columns
        self._size = size
        self._segments: list[Segment] = []
        self._shadows = {name: array.copy() for name, array in columns.tracked.items()}
        self._position: tuple[int, int] | None = None

    def save(self, folder: Path, position: int, total: int, filled: int) -> dict[str, FileFacts]:
        """Write a new segment beside a checkpoint's folder and the list into it.

        Args:
            folder: The checkpoint's folder.
            position: Row that is written next.
            total: Rows that were ever written.
            filled: Rows that hold something, counted from the first.

        Returns:
            The files that the checkpoint needs besides its own.
        """
        ranges = {"*": self._new_rows(position, total, filled), **self._changed_rows()}
        full = len(self._segments) >= MAX_SEGMENTS
        if self._position is None or full or self._is_incomplete(folder.parent / SEGMENTS):
            self._segments = []
            ranges = {"*": [(0, filled)], **{name: [(0, self._size)] for name in self._shadows}}
        if any(ranges.values()):
            self._segments.append(self._write(folder.parent / SEGMENTS, total, ranges))
            self._segments = list(_alive(self._segments, self._size))
        for name, array in self._columns.tracked.items():
            self._shadows[name][...] = array
        self._position = (position, total)
        described = [dataclasses.asdict(segment) for segment in self._segments]
        write_json(folder / _INDEX, {"position": [position, total], "segments": described})
        return {
            f"../{SEGMENTS}/{segment.name}": FileFacts(segment.bytes, segment.sha256)
            for segment in self._segments
        }

    def load(self, folder: Path) -> None:
        """Put the ring together as it was, and go on from there."""
        columns = {**self._columns.streamed, **self._columns.tracked}
        for name, start, rows in replayed(folder):
            columns[name][start : start + len(rows)] = rows
        index: dict[str, Any] = read_json(folder / _INDEX)
        self._segments = [_segment(raw) for raw in index["segments"]]
        position, total = index["position"]
        self._position = (position, total)
        for name, array in self._columns.tracked.items():
            self._shadows[name][...] = array

    def _is_incomplete(self, folder: Path) -> bool:
        """Return whether a segment is no longer there, which somebody must have removed."""
        return not all((folder / segment.name).is_file() for segment in self._segments)

    def _new_rows(self, position: int, total: int, filled: int) -> Ranges:
        if self._position is None:
            return [(0, filled)]
        old_position, old_total = self._position
        new = total - old_total
        if new == 0 and position == old_position:
            return []
        if not 0 < new < self._size or (old_position + new) % self._size != position:
            return [(0, filled)]  # more than a whole turn, or rows that were not counted
        # One row more: the memory-saving variant keeps the next observation there.
        stop = old_position + new + 1
        ranges = [(old_position, min(stop, self._size)), (0, stop - self._size)]
        return [(start, end) for start, end in ranges if end > start]

    def _changed_rows(self) -> dict[str, Ranges]:
        changed = {}
        for name, array in self._columns.tracked.items():
            differs = (array != self._shadows[name]).reshape(self._size, -1).any(axis=1)
            changed[name] = _ranges(np.flatnonzero(differs))
        return changed

    def _write(self, folder: Path, total: int, ranges: dict[str, Ranges]) -> Segment:
        check_right(folder)
        folder.mkdir(exist_ok=True)
        path = folder / f"{total:012d}-{secrets.token_hex(4)}.npz"
        arrays: dict[str, AnyArray] = {}
        for group, parts in ranges.items():
            columns = self._columns.streamed if group == "*" else self._columns.tracked
            for name in columns if group == "*" else (group,):
                arrays |= {f"{name}@{start}": columns[name][start:stop] for start, stop in parts}
        write_arrays(path, arrays)
        atomic.fsync_file(path)
        atomic.fsync_folder(folder)
        return Segment(path.name, path.stat().st_size, atomic.sha256(path), ranges)


def replayed(folder: Path) -> Iterator[tuple[str, int, AnyArray]]:
    """Yield what to copy where, in order: column, first row, rows.

    Args:
        folder: The checkpoint's folder.
    """
    index: dict[str, Any] = read_json(folder / _INDEX)
    for raw in index["segments"]:
        for key, rows in read_arrays(folder.parent / SEGMENTS / raw["name"]).items():
            name, _, start = key.rpartition("@")
            yield name, int(start), rows


def _segment(raw: Mapping[str, Any]) -> Segment:
    ranges = {name: [(a, b) for a, b in parts] for name, parts in raw["ranges"].items()}
    return Segment(raw["name"], raw["bytes"], raw["sha256"], ranges)


def _alive(segments: list[Segment], size: int) -> Iterable[Segment]:
    """Return those segments of which something is still the latest."""
    owners: dict[str, AnyArray] = {}
    for number, segment in enumerate(segments):
        for group, parts in segment.ranges.items():
            owner = owners.setdefault(group, np.full(size, -1, dtype=np.int32))
            for start, stop in parts:
                owner[start:stop] = number
    needed = {int(number) for owner in owners.values() for number in np.unique(owner)}
    return (segment for number, segment in enumerate(segments) if number in needed)


def _ranges(rows: AnyArray) -> Ranges:
    """Group row numbers into few ranges, which may hold some rows more."""
    if not len(rows):
        return []
    cuts = np.flatnonzero(np.diff(rows) > _GAP) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(rows, cuts)]
