"""What a run directory's files say, read so that a missing or torn file is no obstacle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml

from roboyard import json_text
from roboyard.evaluation.breakdown import PROFILE_FILE
from roboyard.runs.directory import RunDirectory

Table = Mapping[str, object]


class EvaluationPoint(NamedTuple):
    """One row of ``evaluations.jsonl``."""

    step: int
    mean: float
    std: float
    median: float
    iqm: float
    iqm_low: float
    iqm_high: float
    success_rate: float | None
    episodes: int
    metrics: tuple[tuple[str, float], ...] = ()
    """Names and means of what the task reports beside the return."""


class TrainingPoint(NamedTuple):
    """One row of ``metrics.jsonl`` that has a return."""

    step: int
    return_mean: float


@dataclass(frozen=True)
class RunData:
    """A run as its files tell it."""

    path: Path
    config: Table
    status: Table
    evaluations: tuple[EvaluationPoint, ...]
    training: tuple[TrainingPoint, ...]
    segments: tuple[Table, ...]
    """The parts of the run between starts, from ``provenance.json``."""
    time_s: float | None
    """Training time [s]."""
    final: EvaluationPoint | None = None
    """Evaluation of the best policy at the end, on episodes of its own."""
    profile: Table = field(default_factory=dict)
    """Where the time went, if that was measured."""

    @property
    def best(self) -> EvaluationPoint | None:
        """The first evaluation with the highest mean."""
        return max(self.evaluations, key=lambda point: point.mean, default=None)

    @property
    def step(self) -> int:
        """Control steps done."""
        status = self.status.get("step")
        steps = [status if isinstance(status, int) else 0]
        steps += [point.step for point in self.evaluations]
        steps += [point.step for point in self.training]
        return max(steps)

    def setting(self, *keys: str) -> object:
        """Return one entry of the config by its path, or None."""
        value: object = self.config
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


def read_run(run: RunDirectory) -> RunData:
    """Read what there is; files that are missing or damaged count as empty."""
    metrics = _rows(run.metrics_file)
    training = [
        TrainingPoint(int(_number(row, "step")), _number(row, "rollout/return_mean"))
        for row in metrics
        if _has(row, "step", "rollout/return_mean")
    ]
    times = [_number(row, "time_s") for row in metrics if _has(row, "time_s")]
    points = [_evaluation(row) for row in _rows(run.evaluations_file) if _has(row, "step", "mean")]
    final = _json(run.path / "final_evaluation.json")
    segments = _json(run.path / "provenance.json").get("segments")
    return RunData(
        path=run.path,
        config=_config(run.config_file),
        status=_json(run.status_file),
        evaluations=tuple(sorted(points)),
        training=tuple(sorted(training)),
        segments=tuple(part for part in _list(segments) if isinstance(part, Mapping)),
        time_s=max(times, default=None),
        final=_evaluation(final) if _has(final, "step", "mean") else None,
        profile=_json(run.path / PROFILE_FILE),
    )


def _evaluation(row: Table) -> EvaluationPoint:
    """Return a row as a point; numbers that an older row lacks are the mean's."""
    mean = _number(row, "mean")
    rate = row.get("success_rate")
    return EvaluationPoint(
        step=int(_number(row, "step")),
        mean=mean,
        std=_number(row, "std", 0.0),
        median=_number(row, "median", mean),
        iqm=_number(row, "iqm", mean),
        iqm_low=_number(row, "iqm_low", mean),
        iqm_high=_number(row, "iqm_high", mean),
        success_rate=float(rate) if isinstance(rate, int | float) else None,
        episodes=len(_list(row.get("returns"))),
        metrics=_metrics(row.get("metrics")),
    )


def _metrics(found: object) -> tuple[tuple[str, float], ...]:
    rows = found.items() if isinstance(found, Mapping) else ()
    return tuple((str(k), float(v)) for k, v in rows if isinstance(v, int | float))


def _has(row: Table, *keys: str) -> bool:
    return all(isinstance(row.get(key), int | float) for key in keys)


def _number(row: Table, key: str, default: float = float("nan")) -> float:
    value = row.get(key)
    return float(value) if isinstance(value, int | float) else default


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else []


def _rows(path: Path) -> list[Table]:
    """Return the lines that are whole JSON objects."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return [row for row in map(_parsed, lines) if row]


def _json(path: Path) -> Table:
    try:
        return _parsed(path.read_text(errors="replace"))
    except OSError:
        return {}


def _parsed(text: str) -> Table:
    try:
        value = json_text.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _config(path: Path) -> Table:
    try:
        value = yaml.safe_load(path.read_text(errors="replace"))
    except (OSError, yaml.YAMLError):
        return {}
    return value if isinstance(value, dict) else {}
