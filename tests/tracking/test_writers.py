"""Writers append, survive, and take back what a continued run does again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from roboyard.errors import StorageError
from roboyard.tracking import JsonlWriter, MetricWriter, TensorBoardWriter
from roboyard.tracking.jsonl import read_rows


def jsonl_steps(folder: Path) -> list[int]:
    return [row["step"] for row in read_rows(folder / "metrics.jsonl")]


def tensorboard_steps(folder: Path) -> list[int]:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return [event.step for event in accumulator.Scalars("a/b")]


@pytest.fixture(params=["jsonl", "tensorboard"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def make(kind: str, folder: Path) -> MetricWriter:
    return JsonlWriter(folder / "metrics.jsonl") if kind == "jsonl" else TensorBoardWriter(folder)


def steps(kind: str, folder: Path) -> list[int]:
    return jsonl_steps(folder) if kind == "jsonl" else tensorboard_steps(folder)


def written(kind: str, folder: Path) -> MetricWriter:
    writer = make(kind, folder)
    assert isinstance(writer, MetricWriter)
    for step in (10, 20, 30):
        writer.write({"a/b": step / 10}, step)
    return writer


def test_rows_are_there_without_flush_or_close(kind: str, tmp_path: Path) -> None:
    writer = written(kind, tmp_path)
    assert steps(kind, tmp_path) == [10, 20, 30]
    writer.close()


def test_a_new_writer_appends(kind: str, tmp_path: Path) -> None:
    written(kind, tmp_path).close()
    again = make(kind, tmp_path)
    again.write({"a/b": 4.0}, 40)
    again.flush()
    again.close()
    assert steps(kind, tmp_path) == [10, 20, 30, 40]


def test_later_rows_are_taken_back_and_earlier_ones_stay(kind: str, tmp_path: Path) -> None:
    writer = written(kind, tmp_path)
    writer.truncate_after(20)
    writer.write({"a/b": 7.0}, 25)
    writer.close()
    assert steps(kind, tmp_path) == [10, 20, 25]


def test_a_row_that_was_cut_short_is_taken_back(kind: str, tmp_path: Path) -> None:
    writer = written(kind, tmp_path)
    writer.close()
    writer.path.write_bytes(writer.path.read_bytes()[:-3])
    again = make(kind, tmp_path)
    again.truncate_after(1000)
    again.write({"a/b": 3.0}, 30)
    again.close()
    assert steps(kind, tmp_path) == [10, 20, 30]


def test_truncating_what_does_not_exist_does_nothing(kind: str, tmp_path: Path) -> None:
    make(kind, tmp_path / "none").truncate_after(5)
    assert not (tmp_path / "none").exists()


def test_closing_twice_does_no_harm(kind: str, tmp_path: Path) -> None:
    writer = written(kind, tmp_path)
    writer.close()
    writer.close()


def test_a_folder_that_cannot_be_made_is_one_clear_line(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write '.*file.*': "):
        make(kind, tmp_path / "file" / "sub").write({"a": 1.0}, 1)


def test_json_has_no_nan(tmp_path: Path) -> None:
    writer = JsonlWriter(tmp_path / "rows.jsonl")
    writer.write({"loss": float("nan"), "gain": float("inf")}, 1)
    writer.close()
    line = (tmp_path / "rows.jsonl").read_text()
    assert json.loads(line) == {"step": 1, "loss": None, "gain": None}
