"""A run's report: the curve, a summary for programs, and a page for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from roboyard.evaluation.curve import draw_curve
from roboyard.evaluation.page import report_page
from roboyard.evaluation.run_data import EvaluationPoint, RunData, read_run
from roboyard.runs.directory import RunDirectory
from roboyard.storage import atomic


class Report(NamedTuple):
    """Where the report's files are."""

    curve: Path
    summary: Path
    page: Path


def write_report(run: RunDirectory) -> Report:
    """Write ``report/curve.png``, ``report/summary.json`` and ``report/report.md``.

    It is made from the run directory's files alone, at any time of the run's life; writing it
    again replaces it.

    Raises:
        StorageError: A file cannot be written.
    """
    data = read_run(run)
    report = Report(run.report / "curve.png", run.report / "summary.json", run.report / "report.md")
    draw_curve(data, report.curve)
    atomic.write_json(report.summary, summary(data))
    videos = sorted(file.relative_to(run.path).as_posix() for file in run.videos.glob("*.mp4"))
    atomic.write_text(report.page, report_page(data, videos))
    return report


def summary(data: RunData) -> dict[str, object]:
    """Return a run's result as JSON values."""
    last = data.evaluations[-1] if data.evaluations else None
    return {
        "name": data.setting("name"),
        "run": data.path.name,
        "environment": data.setting("env", "id"),
        "algorithm": data.setting("agent", "algorithm"),
        "seed": data.setting("seed"),
        "state": data.status.get("state"),
        "reason": data.status.get("reason"),
        "steps": data.step,
        "total_steps": data.setting("train", "total_steps"),
        "time_s": data.time_s,
        "evaluations": len(data.evaluations),
        "best": _point(data.best),
        "last": _point(last),
        "final": _point(data.final),
        "versions": _versions(data),
    }


def _point(point: EvaluationPoint | None) -> dict[str, object] | None:
    return None if point is None else dict(point._asdict())


def _versions(data: RunData) -> object:
    versions = data.segments[-1].get("versions") if data.segments else None
    return dict(versions) if isinstance(versions, Mapping) else {}
