"""``roboyard export``: a policy as a graph that runs without torch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, cast

import typer

from roboyard.cli.evaluate import Trust, WhichOf, checked_which
from roboyard.cli.output import echo
from roboyard.errors import ConfigError
from roboyard.registry import suggest

FORMATS = ("onnx", "torchscript")


Source = Annotated[
    str,
    typer.Argument(
        help="Run directory or policy bundle (.zip), also in s3://.", show_default=False
    ),
]
Form = Annotated[str, typer.Option("--format", help="onnx, or torchscript (for libtorch in C++).")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="NAME.zip for another bundle, any other name for the graph alone. By default an ONNX "
        "graph goes into the bundle, TorchScript beside it.",
    ),
]


def export(
    source: Source,
    *,
    form: Form = "onnx",
    output: Output = None,
    which: WhichOf = "best",
    trust_code: Trust = False,
) -> None:
    """Turn a policy into one graph: normalisation, network, clipping and scaling in one.

    The graph is compared with the policy on 1000 observations of real episodes, and is not written
    if an action differs by more than 1e-5.

    For example:

        roboyard export runs/cartpole/20260101-120000

        roboyard export policy.zip --output policy.onnx

        roboyard export policy.zip --format torchscript

        roboyard export s3://bucket/runs/ant/r1 --output ant.zip
    """
    from roboyard.envs.factory import make_env
    from roboyard.evaluation.policies import resolve_subject
    from roboyard.policies.bundle.locate import find_bundle
    from roboyard.policies.bundle.origin import is_trusted
    from roboyard.policies.export import finalize

    if form not in FORMATS:
        raise ConfigError(
            f"--format is '{form}'. Allowed: {', '.join(FORMATS)}.{suggest(form, FORMATS)}"
        )
    path = find_bundle(source, checked_which(which))
    trusted = is_trusted(source, which=checked_which(which), trust_code=trust_code)
    # Refuses an environment by which a stranger's bundle could run code.
    subject = resolve_subject(path, trust_code=trusted)
    start = time.perf_counter()
    result = finalize.export(
        path,
        make_env=lambda: make_env(subject.env),
        form=cast("finalize.Format", form),
        output=output,
        trust_code=trusted,
    )
    echo(f"{form}: {result.path} ({result.size:,} bytes, {time.perf_counter() - start:.1f} s)")
    echo(
        f"parity: largest difference {result.largest_difference:.2g} "
        f"on {result.observations} observations of {subject.env.id}"
    )
