"""``roboyard robot``: look at a robot before training it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from roboyard.cli.output import cell, echo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from roboyard.robots.comparison import ComparedRow
    from roboyard.robots.inspect import RobotReport

app = typer.Typer(
    help="Look at robots: tables, warnings, a picture.", no_args_is_help=True, add_completion=False
)


@app.command("list")
def list_robots() -> None:
    """List the robots of the catalogue."""
    from roboyard.robots import list_robots, load_robot

    table = Table(box=None, pad_edge=False)
    for column in ("robot", "what it is", "file"):
        table.add_column(column)
    for name in list_robots():
        spec = load_robot(name)
        table.add_row(*map(cell, (name, spec.description, spec.file)))
    _print(table)


@app.command()
def inspect(
    robot: Annotated[
        str,
        typer.Argument(help="URDF or MJCF file, YAML file of a spec, or name in the catalogue."),
    ],
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Write a picture to this PNG file.")
    ] = None,
    fixed_base: Annotated[
        bool, typer.Option("--fixed-base", help="Fix the base of a URDF file in the world.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """Show joints, links and masses, and warn about what makes training fail.

    For example:

        roboyard robot inspect my_robot.urdf --picture my_robot.png

        roboyard robot inspect a1
    """
    from roboyard.robots.inspect import inspect_robot

    report = inspect_robot(robot, fixed_base=fixed_base, with_picture=picture is not None)
    if as_json:
        echo(json.dumps(_record(report), indent=2))
    else:
        _show(report)
    if picture is not None and report.picture is not None:
        _save(report.picture, picture)
        echo(f"picture: {picture}", err=as_json)


@app.command()
def export(
    robot: Annotated[
        str,
        typer.Argument(
            help="URDF, xacro, MJCF or SDF file, YAML file of a spec, or name in the catalogue."
        ),
    ],
    form: Annotated[str, typer.Option("--format", help="urdf or mjcf.")] = "urdf",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; by default the screen.")
    ] = None,
    body: Annotated[
        str | None, typer.Option("--body", help="A link of the robot, if the file has several.")
    ] = None,
) -> None:
    """Write the robot that is simulated, and say in what it differs from its file.

    For example:

        roboyard robot export my_robot.urdf --format mjcf -o my_robot.xml
    """
    from roboyard.errors import ConfigError
    from roboyard.robots.export import export_robot
    from roboyard.robots.normalization import grouped
    from roboyard.sim.writers.meshes import cache_folder
    from roboyard.storage.atomic import write_bytes

    if form not in ("urdf", "mjcf"):
        raise ConfigError(f"--format is '{form}', but must be urdf or mjcf.")
    meshes = output.with_suffix(".meshes").resolve() if output is not None else cache_folder()
    exported = export_robot(robot, "urdf" if form == "urdf" else "mjcf", meshes, body=body)
    for line in grouped(exported.remarks):
        echo(f"note: {line}", err=True)
    if output is None:
        echo(exported.text, nl=False)
    else:
        write_bytes(output, exported.text.encode())


def _show(report: RobotReport) -> None:
    _print(_joint_table(report))
    echo()
    _print(_link_table(report))
    size = [upper - lower for lower, upper in zip(*report.bounds, strict=True)]
    movable = sum(joint.is_movable for joint in report.joints)
    echo(
        f"\n{report.name}: {len(report.links)} links, {movable} movable joints, total mass "
        f"{report.total_mass:.3f} kg, size {size[0]:.2f} x {size[1]:.2f} x {size[2]:.2f} m"
    )
    differing = [row for row in report.compared if not row.is_equal]
    if differing:
        echo()
        _print(_compared_table(differing))
    for warning in report.warnings:
        echo(f"warning: {warning}")
    if not report.warnings:
        echo("nothing suspicious")


def _joint_table(report: RobotReport) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("joint", "kind", "moves link", "lower", "upper", "effort", "velocity",
                   "damping"):  # fmt: skip
        table.add_column(column, justify="left" if column[0] in "jkm" else "right")
    for joint in report.joints:
        if joint.kind == "fixed":
            continue
        has_limits = joint.lower <= joint.upper
        limits = (f"{joint.lower:.3f}", f"{joint.upper:.3f}") if has_limits else ("none", "none")
        strongest = (f"{value:g}" if value else "none" for value in
                     (joint.max_force, joint.max_velocity))  # fmt: skip
        row = (joint.name, joint.kind, joint.link, *limits, *strongest, f"{joint.damping:g}")
        table.add_row(*map(cell, row))
    return table


def _compared_table(rows: list[ComparedRow]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("what differs", "file", "simulated", "why"):
        table.add_column(column)
    for row in rows:
        more = f" and {len(row.reasons) - 1} more" if len(row.reasons) > 1 else ""
        table.add_row(row.what, row.file, row.simulated, (*row.reasons, "not known")[0] + more)
    return table


def _link_table(report: RobotReport) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("link", "mass, kg", "inertia, kg m^2", "joint"):
        table.add_column(column)
    kinds = {joint.index: joint for joint in report.joints}
    for link in report.links:
        inertia = ", ".join(f"{moment:.3g}" for moment in link.mass.inertia)
        joint = kinds.get(link.number)
        fixed = "fixed" if joint and joint.kind == "fixed" else ""
        name = "base" if joint is None else fixed or joint.name
        table.add_row(*map(cell, (link.name, f"{link.mass.mass:.3f}", inertia, name)))
    return table


def _record(report: RobotReport) -> dict[str, object]:
    return {
        "name": report.name,
        "file": str(report.file),
        "joints": [
            {
                "name": joint.name, "kind": joint.kind, "link": joint.link,
                "lower": joint.lower if joint.lower <= joint.upper else None,
                "upper": joint.upper if joint.lower <= joint.upper else None,
                "effort": joint.max_force or None, "velocity": joint.max_velocity or None,
            }
            for joint in report.joints
        ],
        "links": [
            {"name": link.name, "mass": link.mass.mass, "inertia": list(link.mass.inertia)}
            for link in report.links
        ],
        "total_mass": report.total_mass,
        "bounds": [list(report.bounds.lower), list(report.bounds.upper)],
        "compared": [
            {
                "what": row.what, "file": row.file, "simulated": row.simulated,
                "reasons": list(row.reasons),
            }
            for row in report.compared
        ],
        "warnings": list(report.warnings),
    }  # fmt: skip


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    from PIL import Image

    from roboyard.storage.atomic import write_bytes

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    write_bytes(path, buffer.getvalue())


def _print(table: Table) -> None:
    # Other programs that read the table must not get lines folded to 80 columns.
    Console(width=None if sys.stdout.isatty() else 200).print(table)
