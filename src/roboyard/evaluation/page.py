"""The report as a Markdown page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from roboyard.evaluation.breakdown import breakdown_rows, breakdown_summary
from roboyard.evaluation.run_data import EvaluationPoint, RunData
from roboyard.text import line, shown

MAX_ROWS = 25
"""Longest table of evaluations; longer ones are thinned out."""


def report_page(data: RunData, videos: Sequence[str] = ()) -> str:
    """Return the page.

    Args:
        data: The run.
        videos: Paths relative to the run directory.
    """
    sections = [
        f"# {line(str(data.setting('name') or data.path.name))}",
        _facts(data),
        "![Return against control steps](curve.png)",
        _evaluations(data),
        _videos(videos),
        _time_use(data),
        _repeat(data),
    ]
    return shown("\n\n".join(section for section in sections if section) + "\n")


def duration(seconds: float) -> str:
    """Return a time as ``1 h 02 min``, ``3 min 20 s`` or ``12 s``."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _facts(data: RunData) -> str:
    total = data.setting("train", "total_steps")
    of_total = f" of {total:,}" if isinstance(total, int) else ""
    reason = data.status.get("reason")
    state = str(data.status.get("state") or "unknown") + (f" ({reason})" if reason else "")
    rows = [
        ("Environment", f"`{data.setting('env', 'id')}`"),
        ("Algorithm", str(data.setting("agent", "algorithm"))),
        ("Seed", str(data.setting("seed"))),
        ("State", state),
        ("Control steps", f"{data.step:,}{of_total}"),
    ]
    if data.time_s:
        speed = f", {data.step / data.time_s:,.0f} steps/s"
        rows.append(("Training time", duration(data.time_s) + speed))
    if data.best is not None:
        rows.append(("Best evaluation", f"{_result(data.best)}, at step {data.best.step:,}"))
        last = data.evaluations[-1]
        rows.append(("Last evaluation", f"{_result(last)}, at step {last.step:,}"))
    if data.final is not None:
        rows.append(
            ("**Best policy at the end**", f"{_result(data.final)}, {data.final.episodes} episodes")
        )
    return _table(("", ""), rows)


def _result(point: EvaluationPoint) -> str:
    text = (
        f"mean {_short(point.mean)} ± {_short(point.std)}, interquartile mean "
        f"{_short(point.iqm)} [{_short(point.iqm_low)}, {_short(point.iqm_high)}]"
    )
    if point.success_rate is not None:
        text += f", success {point.success_rate:.0%}"
    return "".join([text, *(f", {name} {value:.3g}" for name, value in point.metrics)])


def _evaluations(data: RunData) -> str:
    points = data.evaluations
    if not points:
        return "## Evaluations\n\nNone yet."
    stride = -(-len(points) // MAX_ROWS)
    shown = [
        point
        for number, point in enumerate(points)
        if number % stride == 0 or point in (data.best, points[-1])
    ]
    rows = [
        [
            f"{point.step:,}" + (" (best)" if point == data.best else ""),
            _short(point.mean),
            _short(point.std),
            _short(point.median),
            f"{_short(point.iqm)} [{_short(point.iqm_low)}, {_short(point.iqm_high)}]",
            "" if point.success_rate is None else f"{point.success_rate:.0%}",
        ]
        for point in shown
    ]
    heads = ["step", "mean", "std", "median", "interquartile mean [95 %]", "success"]
    if all(point.success_rate is None for point in shown):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    final = (
        " The evaluation of the best policy at the end uses other seeds than these, by which it "
        "was chosen."
        if data.final is not None
        else ""
    )
    thinned = f" {len(shown)} of {len(points)} are shown." if stride > 1 else ""
    episodes = f" of {points[-1].episodes} episodes each" if points[-1].episodes else ""
    return (
        f"## Evaluations\n\n{_table(heads, rows)}\n\nReturns{episodes}, with the same seeds every "
        f"time; the interval is a percentile bootstrap over episodes.{final}{thinned}"
    )


def _videos(videos: Sequence[str]) -> str:
    if not videos:
        return ""
    return "## Videos\n\n" + "\n".join(f"- [{Path(video).name}](../{video})" for video in videos)


def _time_use(data: RunData) -> str:
    rows = breakdown_rows(data.profile)
    if not rows:
        return ""
    table = _table(("phase", "share", "per control step", "what it is"), rows)
    return f"## Where the time went\n\n{breakdown_summary(data.profile)}\n\n{table}"


def _repeat(data: RunData) -> str:
    lines = [
        "## How to repeat this run",
        "`config.yaml` in the run directory holds every setting. From the folder in which the run "
        "was started:",
        f"```sh\nroboyard train {shlex.quote(str(data.path / 'config.yaml'))}\n```",
        *(
            _segment(n, part)
            for n, part in enumerate(data.segments)
            if not n or part.get("changes")
        ),
    ]
    unchanged = [part for part in data.segments[1:] if not part.get("changes")]
    if unchanged:
        starts = ", ".join(f"{part.get('from_step')}" for part in unchanged)
        lines.append(
            f"It was continued {len(unchanged)} time(s) without a change, from step {starts}."
        )
    first: Mapping[str, object] = data.segments[0] if data.segments else {}
    versions = first.get("versions")
    if isinstance(versions, Mapping):
        lines.append(_table(("library", "version"), [(k, str(v)) for k, v in versions.items()]))
    if first.get("git_revision"):
        lines.append(f"Revision: `{first['git_revision']}`.")
    lines.append("On a CPU, the same config, seed and versions give the same weights, bit for bit.")
    return "\n\n".join(lines)


def _segment(number: int, part: Mapping[str, object]) -> str:
    """Return how a part of the run came about, with its command and what that changed."""
    text = f"It was continued from step {part.get('from_step')}" if number else "It was started"
    command, changes = part.get("command"), part.get("changes")
    if isinstance(command, list) and command:
        words = [Path(str(command[0])).name, *map(str, command[1:])]
        text += f" with:\n\n```sh\n{shlex.join(words)}\n```"
    else:
        text += "."
    if isinstance(changes, list) and changes:
        listed = "\n".join(f"- `{change}`" for change in changes)
        text += (
            f"\n\nThat changed:\n\n{listed}\n\n`config.yaml` is what the run was at its end; run "
            "from its first step with that, it may be another run."
        )
    return text


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(_cell, cells)) + " |" for cells in lines)


def _cell(text: str) -> str:
    """Return a text that stays within its cell."""
    return line(text).replace("|", r"\|")


def _short(value: float) -> str:
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"
