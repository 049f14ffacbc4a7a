"""The variants of experiments side by side: Markdown, pictures and tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import combinations

from roboyard.errors import ConfigError
from roboyard.storage import open_store
from roboyard.storage.base import join_key
from roboyard.tuning.aggregates import Estimate, aggregate_iqm, probability_of_improvement
from roboyard.tuning.curves import draw_curves, draw_profiles
from roboyard.tuning.experiment_record import ExperimentRecord
from roboyard.tuning.results import VariantResults, gather, score

FOLDER = "report"
_MOST_PAIRS = 45
Rows = list[list[str]]


def write_comparison(ledgers: Sequence[ExperimentRecord]) -> str:
    """Write the comparison of one experiment's variants, or of several experiments.

    Args:
        ledgers: The experiments; the files go to the first one's ``report/``, for several under
            a folder of their names.

    Returns:
        Where ``comparison.md``, ``curves.png``, ``profiles.png``, ``runs.csv`` and
        ``variants.csv`` are.

    Raises:
        ConfigError: No run has any result yet.
        StorageError: A store cannot be read or written.
    """
    groups = gather(ledgers)
    title = " and ".join(ledger.name for ledger in ledgers)
    if not any(group.runs for group in groups):
        raise ConfigError(f"no run of {title} has an evaluation yet; there is nothing to compare.")
    store = open_store(ledgers[0].uri)
    folder = FOLDER if len(ledgers) == 1 else f"{FOLDER}/{'-vs-'.join(x.name for x in ledgers)}"
    files = {
        "comparison.md": markdown(groups, title).encode(),
        "curves.png": draw_curves(groups, title),
        "profiles.png": draw_profiles(groups, title),
        "runs.csv": _csv(_run_rows(groups)),
        "variants.csv": _csv(_variant_rows(groups, digits=9)),
    }
    for name, content in files.items():
        store.put(f"{folder}/{name}", content)
    return join_key(ledgers[0].uri, folder)


def markdown(groups: Sequence[VariantResults], title: str) -> str:
    """Return the comparison as a Markdown page."""
    parts = [f"# {title}", "", *_table(_variant_rows(groups)), ""]
    parts += [
        "Return: interquartile mean of the runs' final evaluations, with the 95 % interval of a "
        "bootstrap stratified by task (Agarwal et al. 2021).",
        "",
        "![learning curves](curves.png)",
        "",
        "![performance profiles](profiles.png)",
        "",
    ]
    if not all(group.is_complete for group in groups):
        parts[1:1] = ["", "**Not all runs have ended; what is missing is not in the figures.**"]
    pairs = _pair_rows(groups)
    if len(pairs) > 1:
        parts += ["## Probability of improvement", "", *_table(pairs), ""]
    terms = _term_rows(groups)
    if len(terms) > 1:
        parts += ["## What the tasks report", "", *_table(terms), ""]
    return "\n".join(parts)


def _variant_rows(groups: Sequence[VariantResults], digits: int = 5) -> Rows:
    rows = [["variant", "runs", "return (IQM)", "low", "high", "worst run", "best run"]]
    for group in groups:
        runs = f"{len(group.runs)} of {group.planned}"
        if not group.runs:
            rows.append([group.name, runs, *["-"] * 5])
            continue
        scores = group.scores
        values = (*aggregate_iqm(scores), scores.min(), scores.max())
        rows.append([group.name, runs, *(f"{value:.{digits}g}" for value in values)])
    return rows


def _pair_rows(groups: Sequence[VariantResults]) -> Rows:
    rows = [["X", "Y", "P(X > Y)", "low", "high"]]
    for one, other in list(combinations([g for g in groups if g.runs], 2))[:_MOST_PAIRS]:
        estimate: Estimate = probability_of_improvement(one.scores, other.scores)
        rows.append([one.name, other.name, *(f"{value:.2f}" for value in estimate)])
    return rows


def _term_rows(groups: Sequence[VariantResults]) -> Rows:
    """Return the means of what the tasks report, such as reward terms, a column a variant."""
    columns = []
    for group in groups:
        found: dict[str, list[float]] = {}
        for run in group.runs:
            point = run.final or run.evaluations[-1]
            for name, value in point.metrics:
                found.setdefault(name, []).append(value)
        columns.append({name: sum(values) / len(values) for name, values in found.items()})
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [["mean over runs", *(group.name for group in groups)]]
    for name in names:
        rows.append([name, *(f"{c[name]:.5g}" if name in c else "-" for c in columns)])
    return rows


def _run_rows(groups: Sequence[VariantResults]) -> Rows:
    rows = [["variant", "run", "seed", "state", "step", "score", "training_s"]]
    for group in groups:
        for run in group.runs:
            rows.append(
                [
                    group.name,
                    run.path.name,
                    str(run.setting("seed")),
                    str(run.status.get("state")),
                    str(run.step),
                    repr(score(run)),
                    "" if run.time_s is None else f"{run.time_s:.1f}",
                ]
            )
    return rows


def _table(rows: Rows) -> list[str]:
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return [head, "|" + " --- |" * len(rows[0]), *body]


def _csv(rows: Rows) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()
