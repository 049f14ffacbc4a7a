"""A replay buffer costs what is new, and comes back exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roboyard.training.checkpoints.parts import ring_log
from roboyard.training.checkpoints.parts.ring_log import Columns, RingLog
from roboyard.training.checkpoints.store import CheckpointStore, CheckpointSubject, Retention

SIZE = 100


class Ring:
    """A ring like a replay buffer's: one column that streams, one that changes anywhere."""

    def __init__(self, size: int = SIZE) -> None:
        self.size, self.position, self.total = size, 0, 0
        self.values = np.zeros((size, 2), np.float32)
        self.marks = np.full((size, 1), -1, np.int64)
        self.log = RingLog(Columns({"values": self.values}, {"marks": self.marks}), size)

    def add(self, count: int) -> None:
        for _ in range(count):
            self.values[self.position] = self.total + 1
            self.position, self.total = (self.position + 1) % self.size, self.total + 1

    def save(self, store: CheckpointStore) -> None:
        filled = self.size if self.total >= self.size else self.position + 1
        store.write(
            self.total, lambda folder: self.log.save(folder, self.position, self.total, filled)
        )


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path, CheckpointSubject("SAC", "x"), Retention(2))


def reloaded(store: CheckpointStore, size: int = SIZE) -> Ring:
    copy, found = Ring(size), store.newest_good()
    copy.log.load(found.folder)
    copy.total = found.manifest.step
    copy.position = copy.total % size
    return copy


def assert_same(left: Ring, right: Ring) -> None:
    np.testing.assert_array_equal(left.values, right.values)
    np.testing.assert_array_equal(left.marks, right.marks)


@pytest.mark.parametrize("seed", range(5))
def test_any_sequence_of_writes_kills_and_rotations_comes_back_exactly(
    store: CheckpointStore, tmp_path: Path, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    live = Ring()
    for _ in range(25):
        live.add(int(draw.choice([0, 1, 7, 40, 99, 100, 101, 250])))
        live.marks[draw.integers(0, SIZE, 3)] += 1
        live.save(store)
        copy = reloaded(store)
        assert_same(copy, live)
        if draw.random() < 0.3:
            live = copy  # the process was killed here, and another goes on
    listed = {name for step in store.steps() for name in _shared(store, step)}
    assert {f"../segments/{path.name}" for path in (tmp_path / "segments").iterdir()} == listed


def _shared(store: CheckpointStore, step: int) -> list[str]:
    from roboyard.training.checkpoints.manifest import read_manifest

    return [name for name in read_manifest(store.path(step)).files if name.startswith("../")]


def test_a_million_transitions_cost_only_what_is_new(
    store: CheckpointStore, tmp_path: Path
) -> None:
    live = Ring(1_000_000)
    live.total = live.position = 900_000
    live.values[:900_000] = 1.0
    live.save(store)
    before = {path.name for path in (tmp_path / "segments").iterdir()}
    live.add(1000)
    live.marks[500] = 7
    live.save(store)
    new = [path for path in (tmp_path / "segments").iterdir() if path.name not in before]
    assert len(new) == 1
    assert new[0].stat().st_size < 1001 * 8 + 8 + 2000
    own = sum(path.stat().st_size for path in store.path(901_000).iterdir())
    assert own < 2000
    assert_same(reloaded(store, 1_000_000), live)


def test_too_many_segments_are_written_anew_as_one(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring_log, "MAX_SEGMENTS", 4)
    live = Ring()
    for _ in range(9):
        live.add(3)
        live.save(store)
        assert len(_shared(store, live.total)) <= 4
        assert_same(reloaded(store), live)


def test_a_damaged_segment_is_found(store: CheckpointStore, tmp_path: Path) -> None:
    live = Ring()
    live.add(10)
    live.save(store)
    live.add(10)
    live.save(store)
    newest = max((tmp_path / "segments").iterdir())
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    assert store.newest_good().manifest.step == 10
