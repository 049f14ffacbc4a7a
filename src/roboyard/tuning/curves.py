"""Learning curves of several variants, and their performance profiles, as pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from roboyard.evaluation.curve import thousands
from roboyard.tuning.aggregates import aggregate_iqm, performance_profile
from roboyard.tuning.results import Floats, VariantResults

_COLOURS = ("#0b62b5", "#d1410c", "#3f7f3f", "#7a4fa3", "#8a6d3b", "#20828a", "#b03a6b", "#606a73")
_STYLES: tuple[object, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
_RESAMPLES = 500
_THRESHOLDS = 101


class Curve(NamedTuple):
    """Returns over steps of all runs of a variant."""

    steps: Floats
    """Control steps, shape (n,)."""
    value: Floats
    """Interquartile mean over the runs, shape (n,)."""
    low: Floats
    high: Floats


def learning_curve(group: VariantResults) -> Curve | None:
    """Return the curve of a variant, as far as all of its runs have come; None if there is none.

    Between two evaluations of a run its last one counts.
    """
    runs = [run.evaluations for run in group.runs if run.evaluations]
    if not runs:
        return None
    start = max(points[0].step for points in runs)
    end = min(points[-1].step for points in runs)
    steps = np.unique([p.step for points in runs for p in points if start <= p.step <= end])
    if not len(steps):
        return None
    columns = []
    for points in runs:
        known = np.array([point.step for point in points])
        values = np.array([point.mean for point in points])
        columns.append(values[np.searchsorted(known, steps, side="right") - 1])
    matrix = np.stack(columns)
    rows = [aggregate_iqm(matrix[:, i], resamples=_RESAMPLES) for i in range(len(steps))]
    value, low, high = np.array(rows, dtype=np.float64).T
    return Curve(steps.astype(np.float64), value, low, high)


def draw_curves(groups: Sequence[VariantResults], title: str) -> bytes:
    """Return the learning curves of variants as PNG."""
    figure, axes = _figure(title)
    for index, group in enumerate(groups):
        curve = learning_curve(group)
        if curve is None:
            continue
        colour, style = _look(index)
        axes.fill_between(curve.steps, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(
            curve.steps,
            curve.value,
            color=colour,
            linestyle=style,
            linewidth=2,
            label=f"{group.name} ({len(group.runs)} runs)",
        )
    axes.set_xlabel("control steps, all environments together")
    axes.set_ylabel("return: interquartile mean over runs, 95 % interval")
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    return _png(figure, axes)


def draw_profiles(groups: Sequence[VariantResults], title: str) -> bytes:
    """Return the performance profiles of variants as PNG."""
    figure, axes = _figure(title)
    scored = [(i, group) for i, group in enumerate(groups) if group.runs]
    if scored:
        scores = np.concatenate([group.scores for _, group in scored])
        reach = max(float(np.ptp(scores)), 1e-9)
        levels = np.linspace(scores.min() - 0.05 * reach, scores.max() + 0.05 * reach, _THRESHOLDS)
        for index, group in scored:
            profile = performance_profile(group.scores, levels, resamples=_RESAMPLES)
            colour, style = _look(index)
            axes.fill_between(
                levels, profile.low, profile.high, color=colour, alpha=0.15, linewidth=0, step="mid"
            )
            axes.step(
                levels, profile.share, where="mid", color=colour, linestyle=style, label=group.name
            )
    axes.set_xlabel("final return of a run, τ")
    axes.set_ylabel("share of runs with a return above τ, 95 % interval")
    axes.set_ylim(-0.02, 1.02)
    return _png(figure, axes)


def _look(index: int) -> tuple[str, object]:
    return _COLOURS[index % len(_COLOURS)], _STYLES[(index // len(_COLOURS)) % len(_STYLES)]


def _figure(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(10, 6), dpi=100, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontweight="bold")
    axes.grid(axis="y", color="#dfe3e7")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: Figure, axes: Axes) -> bytes:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", framealpha=0.9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
