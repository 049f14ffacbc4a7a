"""The learning curve as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from roboyard.evaluation.run_data import RunData
from roboyard.storage import atomic
from roboyard.text import line, shown

WIDTH, HEIGHT, DPI = 1200, 700, 100  # pixels, pixels, pixels per inch
TRAINING, EVALUATION, BEST, INK, FAINT = "#8a6d3b", "#0b62b5", "#d1410c", "#20262c", "#6b747d"


def draw_curve(data: RunData, path: Path) -> Path:
    """Draw training and evaluation returns against steps, 1200 x 700 pixels.

    Raises:
        StorageError: The file cannot be written.
    """
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.075, 0.105, 0.895, 0.74))
    _draw_training(axes, data)
    _draw_evaluations(axes, data)
    _draw_threshold(axes, data)
    _label(figure, axes, data)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    atomic.write_bytes(path, buffer.getvalue())
    return path


def smoothed(values: Sequence[float], window: int) -> NDArray[np.float64]:
    """Return the centred moving mean; the window shrinks at the ends."""
    data = np.asarray(values, dtype=np.float64)
    reach = window // 2
    sums = np.concatenate([[0.0], np.cumsum(data)])
    first = np.maximum(np.arange(len(data)) - reach, 0)
    last = np.minimum(np.arange(len(data)) + reach + 1, len(data))
    means: NDArray[np.float64] = (sums[last] - sums[first]) / (last - first)
    return means


def thousands(value: float, _position: int = 0) -> str:
    """Return a number of steps as ``50k`` or ``1.2M``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


def _draw_training(axes: Axes, data: RunData) -> None:
    if not data.training:
        return
    steps = [point.step for point in data.training]
    returns = [point.return_mean for point in data.training]
    axes.plot(steps, returns, color=TRAINING, alpha=0.28, linewidth=1.0, zorder=2)
    window = max(3, len(steps) // 20)
    label = "training episodes, smoothed (raw: faint)"
    axes.plot(
        steps, smoothed(returns, window), color=TRAINING, linewidth=1.8, label=label, zorder=3
    )


def _draw_evaluations(axes: Axes, data: RunData) -> None:
    points = data.evaluations
    if not points:
        return
    steps = [point.step for point in points]
    axes.fill_between(
        steps,
        [point.iqm_low for point in points],
        [point.iqm_high for point in points],
        color=EVALUATION,
        alpha=0.16,
        linewidth=0,
        label="95 % interval of the interquartile mean",
        zorder=4,
    )
    if len(points) == 1:  # an area of one point has no width
        axes.vlines(steps, points[0].iqm_low, points[0].iqm_high, color=EVALUATION, alpha=0.35)
    episodes = f", {points[-1].episodes} episodes" if points[-1].episodes else ""
    axes.plot(
        steps,
        [point.mean for point in points],
        color=EVALUATION,
        linewidth=2.2,
        marker="o",
        markersize=5 if len(points) <= 60 else 0,
        markeredgecolor="white",
        markeredgewidth=0.8,
        label=f"evaluation mean{episodes}",
        zorder=5,
    )
    best = data.best
    assert best is not None
    axes.plot(
        [best.step],
        [best.mean],
        linestyle="none",
        marker="*",
        markersize=19,
        color=BEST,
        markeredgecolor="white",
        markeredgewidth=1.0,
        label=f"best: {best.mean:.5g} at step {best.step:,}",
        zorder=6,
        clip_on=False,
    )


def _draw_threshold(axes: Axes, data: RunData) -> None:
    threshold = data.setting("early_stop", "return_threshold")
    if isinstance(threshold, int | float):
        label = f"early stop at {threshold:.5g}"
        axes.axhline(threshold, color=FAINT, linestyle=(0, (5, 4)), linewidth=1.1, label=label)


def _label(figure: Figure, axes: Axes, data: RunData) -> None:
    name = _plain(data.setting("name") or data.path.name)
    algorithm = data.setting("agent", "algorithm") or "unknown algorithm"
    environment = data.setting("env", "id") or "unknown environment"
    seed = data.setting("seed")
    subtitle = _plain(f"{algorithm} on {environment}, seed {0 if seed is None else seed}")
    figure.text(0.075, 0.945, name, fontsize=19, fontweight="bold", color=INK, va="center")
    figure.text(0.075, 0.896, subtitle, fontsize=12.5, color=FAINT, va="center")
    axes.set_xlabel("control steps, all environments together", fontsize=12.5, color=INK)
    axes.set_ylabel("return per episode (sum of rewards)", fontsize=12.5, color=INK)
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 5, 10], integer=True))
    axes.set_xlim(0, max(data.step, 1) * 1.012)
    axes.margins(y=0.08)
    axes.grid(axis="y", color="#dfe3e7", linewidth=0.9)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=11.5, colors=INK, length=4, color=FAINT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#aab2b9")
    if data.training or data.evaluations:
        # Evaluations first: they are what counts.
        entries = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=_rank)
        legend = axes.legend(
            [handle for handle, _ in entries],
            [label for _, label in entries],
            loc="best",
            fontsize=11.5,
            framealpha=0.92,
            edgecolor="#dfe3e7",
        )
        legend.set_zorder(7)
    else:
        axes.set_yticks([])
        text = "no evaluation and no finished episode yet"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=FAINT, fontsize=14)


def _rank(entry: tuple[object, str]) -> int:
    order = ("evaluation", "95 %", "best", "training", "early")
    return next(place for place, start in enumerate(order) if entry[1].startswith(start))


def _plain(text: object) -> str:
    """Return text that Matplotlib draws as it is: no control characters, no mathematics."""
    return line(shown(str(text))).replace("$", r"\$")
