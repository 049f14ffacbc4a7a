"""What a run has reported so far: rows of evaluations, on whichever machine it was made."""

from __future__ import annotations

import contextlib
import json
from typing import Any, NamedTuple

from roboyard.errors import ConfigError, RoboyardError
from roboyard.evaluation.statistics import interquartile_mean
from roboyard.registry import suggest
from roboyard.runs.ownership import local_folder, work_folder
from roboyard.storage import open_store
from roboyard.storage.base import NotFoundError
from roboyard.tuning.search_definition import RETURN

OWN_METRICS = (RETURN, "success_rate", "time_s", "steps")


class EvaluationRow(NamedTuple):
    """One evaluation of a run."""

    step: int
    """Control step at which it was made."""
    returns: tuple[float, ...]
    """Return of each episode."""
    success_rate: float | None
    metrics: dict[str, float]
    """What the task reports, mean over the episodes."""

    def value(self, metric: str) -> float:
        """Return a metric of this evaluation; NaN if it does not have it."""
        if metric == RETURN:
            return interquartile_mean(self.returns)
        if metric == "success_rate":
            return float("nan") if self.success_rate is None else self.success_rate
        return self.metrics.get(metric, float("nan"))


def evaluations(uri: str) -> list[EvaluationRow]:
    """Return the evaluations of a run during training, in their order."""
    return [_row(row) for row in _lines(_text(uri, "evaluations.jsonl"))]


def final_evaluation(uri: str) -> EvaluationRow | None:
    """Return the evaluation of the best policy at the end, on episodes of its own."""
    found = _lines(_text(uri, "final_evaluation.json").replace("\n", " "))
    return _row(found[0]) if found else None


def training_time(uri: str) -> float:
    """Return the training time of a run so far [s]."""
    times = [float(row["time_s"]) for row in _lines(_text(uri, "metrics.jsonl")) if "time_s" in row]
    return max(times, default=0.0)


def check_metric(metric: str, reported: dict[str, float], successes: bool) -> None:
    """Make sure that runs report a metric.

    Raises:
        ConfigError: They do not; the message names those that there are.
    """
    known = [name for name in OWN_METRICS if name != "success_rate" or successes]
    known += sorted(reported)
    if metric not in known:
        raise ConfigError(
            f"objective: no run reports '{metric}'. Reported: {', '.join(known)}."
            f"{suggest(metric, known)}"
        )


def _text(uri: str, name: str) -> str:
    folder = local_folder(uri) or work_folder(uri)
    with contextlib.suppress(OSError):
        return (folder / name).read_text()
    if local_folder(uri) is not None:
        return ""
    with contextlib.suppress(NotFoundError, RoboyardError):
        return open_store(uri).get(name).data.decode()
    return ""


def _lines(text: str) -> list[dict[str, Any]]:
    """Return the lines that are whole: the last one may still be on its way."""
    found = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and row.get("step") is not None:
                found.append(row)
    return found


def _row(row: dict[str, Any]) -> EvaluationRow:
    metrics = row.get("metrics") or {}
    rate = row.get("success_rate")
    return EvaluationRow(
        int(row["step"]),
        tuple(float(value) for value in row.get("returns") or (row["mean"],)),
        None if rate is None else float(rate),
        {str(k): float(v) for k, v in metrics.items() if isinstance(v, int | float)},
    )
