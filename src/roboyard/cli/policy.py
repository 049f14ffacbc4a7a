"""``roboyard policy``: look at, check and compare policy bundles."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from roboyard.cli.evaluate import Trust
from roboyard.cli.output import cell, echo

app = typer.Typer(
    help="Look at, check and compare policy bundles.", no_args_is_help=True, add_completion=False
)

Source = Annotated[
    str,
    typer.Argument(
        help="Run directory or policy bundle (.zip), also in s3://.", show_default=False
    ),
]


@app.command()
def show(
    source: Source,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Print what a policy reads, does and comes from."""
    from roboyard.policies.bundle.inspect import (
        EntryRow,
        JointRow,
        entry_rows,
        joint_rows,
        summary,
    )
    from roboyard.policies.bundle.locate import find_bundle
    from roboyard.policies.bundle.policy_bundle import PolicyBundle

    bundle = PolicyBundle.read(find_bundle(source))
    if as_json:
        echo(json.dumps(bundle.manifest.model_dump(mode="json"), indent=2))
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in summary(bundle).items():
        table.add_row(cell(name), cell(value))
    console = Console()
    console.print(table)
    for heading, rows in (
        (EntryRow._fields, list(entry_rows(bundle))),
        (JointRow._fields, list(joint_rows(bundle))),
    ):
        if rows:
            console.print()
            console.print(_table(heading, rows))


@app.command()
def verify(
    source: Source,
    observations: Annotated[
        int, typer.Option("--observations", "-n", min=1, help="How many to compare.")
    ] = 1000,
    trust_code: Trust = False,
) -> None:
    """Check a bundle: digests, weights, and that its ONNX graph acts as its network does.

    Runs episodes of the environment that the policy was trained in. Ends with exit code 1 when
    something is wrong.
    """
    from roboyard.envs.factory import make_env
    from roboyard.evaluation.policies import resolve_subject
    from roboyard.policies.bundle.locate import find_bundle
    from roboyard.policies.bundle.origin import is_trusted
    from roboyard.policies.bundle.policy_bundle import PolicyBundle
    from roboyard.policies.export.finalize import verify_graph

    path = find_bundle(source)
    bundle = PolicyBundle.read(path)
    echo(f"digests: {len(bundle.manifest.parts)} parts of '{path}' are as written")
    trusted = is_trusted(source, trust_code=trust_code)
    bundle.policy(trust_code=trusted)
    echo(f"weights: fit the {bundle.algorithm} network that the config describes")
    if bundle.manifest.onnx is None:
        echo(f"graph: none; add one with: roboyard export {source}")
        return
    subject = resolve_subject(path, trust_code=trusted)
    parity = verify_graph(
        bundle, make_env=lambda: make_env(subject.env), count=observations, trust_code=trusted
    )
    echo(
        f"graph: largest difference {parity.largest_difference:.2g} "
        f"on {parity.observations} observations of {subject.env.id}"
    )


@app.command()
def diff(first: Source, second: Source) -> None:
    """Print in what two policies differ; ends with exit code 1 when they do."""
    from roboyard.policies.bundle.inspect import Difference, differences
    from roboyard.policies.bundle.locate import find_bundle
    from roboyard.policies.bundle.policy_bundle import PolicyBundle

    found = differences(*(PolicyBundle.read(find_bundle(path)) for path in (first, second)))
    if not found:
        echo("the policies do not differ")
        return
    Console().print(_table(Difference._fields, found))
    raise typer.Exit(1)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*map(cell, row))
    return table
