"""The comparison as Markdown, JSON and a picture."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from roboyard.evaluation.engine_gap.compare import GapReport
from roboyard.evaluation.engine_gap.open_loop import DIVERGED
from roboyard.storage.atomic import replaced_file, write_json, write_text


def write_report(report: GapReport, folder: Path) -> list[Path]:
    """Write ``report.md``, ``report.json`` and ``report.png``; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    text, data, picture = (folder / f"report.{suffix}" for suffix in ("md", "json", "png"))
    write_text(text, to_markdown(report))
    write_json(data, to_json(report))
    with replaced_file(picture) as staged:
        _draw(report, staged)
    return [text, data, picture]


def to_json(report: GapReport) -> dict[str, JsonValue]:
    """Return everything as JSON values."""
    return {
        "policy": report.label,
        "engines": [*report.engines],
        "allowed": [*sorted(report.allowed)],
        "static": [
            {"kind": kind, "where": where, "values": list(values)}
            for kind, where, values in report.differences
        ],
        "open_loop": [dict(gap._asdict()) for gap in report.open_loop],
        "terms": [dict(gap._asdict()) for gap in report.terms],
        "closed_loop": {name: result.to_dict() for name, result in report.results.items()},
    }


def to_markdown(report: GapReport) -> str:
    """Return the report as text."""
    first, second = report.engines
    lines = [f"# {report.label}: {first} and {second}", "", "## Before a step", ""]
    if report.differences:
        lines += [f"| kind | where | {first} | {second} | |", "|---|---|---|---|---|"]
        for found in report.differences:
            mark = "allowed" if found.kind in report.allowed else "**differs**"
            one, other = (_short(value) for value in found.values)
            lines.append(f"| {found.kind} | {found.where} | {one} | {other} | {mark} |")
    else:
        lines.append("Masses, inertias, joints, limits, actions, observations: the same.")
    lines += ["", "## The same torques", "", "| place | apart at [s] | error at the end |",
              "|---|---|---|"]  # fmt: skip
    for gap in report.open_loop:
        when = f"{gap.diverged:.3f}" if gap.diverged is not None else "never"
        lines.append(f"| {gap.place} | {when} | {gap.errors[-1]:.3g} |")
    lines += ["", f"Apart means a root mean square of {DIVERGED:g} rad or m over joints.", "",
              "| joint | air | contact |", "|---|---|---|"]  # fmt: skip
    air, contact = (gap.joints for gap in report.open_loop)
    lines += [f"| {name} | {air[name]:.3g} | {contact[name]:.3g} |" for name in air]
    lines += ["", "## The same actions", "", "| term | first frame that differs | largest gap |",
              "|---|---|---|"]  # fmt: skip
    for term in report.terms:
        frame = "none" if term.first_frame is None else str(term.first_frame)
        lines.append(f"| {term.name} | {frame} | {term.largest:.3g} |")
    lines += ["", "## The policy", "",
              "| engine | return, interquartile mean | 95 % interval | success | length |",
              "|---|---|---|---|---|"]  # fmt: skip
    for name, result in report.results.items():
        rate = result.success_rate
        success = "-" if rate is None else f"{rate:.0%}"
        lines.append(f"| {name} | {result.iqm:.4g} | {result.iqm_low:.4g} to "
                     f"{result.iqm_high:.4g} | {success} | {result.mean_length:.0f} |")  # fmt: skip
    return "\n".join([*lines, "", "![report](report.png)", ""])


def _short(value: JsonValue) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(_short(part) for part in value)
    return str(value)


def _draw(report: GapReport, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    drift, bars = figure.subplots(1, 2)
    for gap in report.open_loop:
        drift.semilogy(gap.times, [max(error, 1e-12) for error in gap.errors], label=gap.place)
    drift.axhline(DIVERGED, color="grey", linestyle=":")
    drift.set(xlabel="time [s]", ylabel="error over joints", title="the same torques")
    drift.legend()
    results = report.results
    middles = [result.iqm for result in results.values()]
    spread = [
        [result.iqm - result.iqm_low for result in results.values()],
        [result.iqm_high - result.iqm for result in results.values()],
    ]
    bars.bar(list(results), middles, yerr=spread, capsize=6)
    bars.set(ylabel="return", title="the policy")
    figure.savefig(path, format="png", dpi=110)
