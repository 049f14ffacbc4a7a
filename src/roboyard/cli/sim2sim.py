"""``roboyard sim2sim``: the gap between two engines, for one policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roboyard.cli.evaluate import Trust, WhichOf, checked_which
from roboyard.cli.output import echo


def sim2sim(
    policy: Annotated[
        str,
        typer.Argument(
            help="Run directory or policy bundle (.zip), also in s3://.", show_default=False
        ),
    ],
    *,
    engines: Annotated[
        str, typer.Option("--engines", help="Two engines, the reference first.")
    ] = "pybullet,mujoco",
    episodes: Annotated[int, typer.Option("--episodes", "-n", help="Episodes in each.")] = 20,
    seed: Annotated[int, typer.Option("--seed", help="Seed of episodes and torques.")] = 0,
    allow: Annotated[
        str, typer.Option("--allow", help="Kinds of differences that are no failure: mass,limits.")
    ] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the report.")] = Path(
        "sim2sim"
    ),
    which: WhichOf = "best",
    trust_code: Trust = False,
) -> None:
    """Measure how a task and a policy differ between two engines.

    Writes report.md, report.json and report.png. The exit code is 1 if the robot or the policy's
    contract differs before a step in a way that --allow does not name.

    For example:

        roboyard sim2sim runs/hopper-run/20260101-120000 --allow limits
    """
    from roboyard.evaluation.engine_gap import compare_engines
    from roboyard.evaluation.engine_gap.report import write_report

    report = compare_engines(
        policy,
        _words(engines),
        episodes=episodes,
        seed=seed,
        allowed=_words(allow),
        which=checked_which(which),
        trust_code=trust_code,
        on_part=lambda part: echo(f"{part} ..."),
    )
    for engine, result in report.results.items():
        echo(f"{engine}: return {result.iqm:.4g} [{result.iqm_low:.4g}, {result.iqm_high:.4g}]")
    for path in write_report(report, output):
        echo(str(path))
    if report.refused:
        kinds = ",".join(dict.fromkeys(found.kind for found in report.refused))
        echo(f"{len(report.refused)} differences before a step; see the report, or --allow {kinds}")
        raise typer.Exit(1)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
