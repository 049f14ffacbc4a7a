"""``roboyard image``: build, push and run container images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roboyard.cli.output import echo

app = typer.Typer(
    help="Build, push and run container images.", no_args_is_help=True, add_completion=False
)

_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
_Target = Annotated[str, typer.Option("--target", help="cpu, gpu, serve or dev.")]
_Builder = Annotated[
    str | None, typer.Option("--builder", help="docker, podman or buildah; default: what works.")
]
_Tag = Annotated[
    str | None, typer.Option("--tag", help="The image here; default: roboyard:TARGET.")
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the commands, run nothing.")]


@app.command(context_settings=_PASSED_ON)
def build(
    context: typer.Context,
    target: _Target = "cpu",
    *,
    builder: _Builder = None,
    tag: _Tag = None,
    folder: Annotated[
        Path, typer.Option("--context", help="A checkout of Roboyard, or a folder in it.")
    ] = Path(),
    dry_run: _DryRun = False,
) -> None:
    """Build an image from a checkout; options after -- go to the builder.

    For example:

        roboyard image build --target serve

        roboyard image build --target gpu -- --build-arg CUDA=cuda13
    """
    from roboyard.containers.engine import find_engine
    from roboyard.containers.image import DOCKERFILE, check_target, find_checkout

    checkout, target = find_checkout(folder), check_target(target)
    engine = find_engine(builder, say=_say, dry_run=dry_run)
    image = tag or f"roboyard:{target}"
    engine.build(
        context=checkout.root,
        dockerfile=checkout.root / DOCKERFILE,
        target=target,
        tag=image,
        arguments=checkout.arguments(),
        options=context.args,
    )
    echo(f"{image} of revision {checkout.revision}")


@app.command(context_settings=_PASSED_ON)
def push(
    context: typer.Context,
    reference: Annotated[str, typer.Argument(metavar="REGISTRY/NAME[:TAG]")],
    target: _Target = "cpu",
    *,
    builder: _Builder = None,
    tag: _Tag = None,
    dry_run: _DryRun = False,
) -> None:
    """Push an image, and print its name by digest; options after -- go to the builder.

    The last line is REGISTRY/NAME@sha256:..., which names these very bytes: deploy that.

    For example:

        roboyard image push registry.example.org/team/roboyard:cpu --target cpu
    """
    from roboyard.containers.engine import find_engine
    from roboyard.containers.image import check_reference, check_target

    target, reference = check_target(target), check_reference(reference)
    engine = find_engine(builder, say=_say, dry_run=dry_run)
    echo(engine.push(tag or f"roboyard:{target}", reference, context.args))


@app.command(context_settings=_PASSED_ON)
def run(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Roboyard's command line in the container.")
    ] = None,
    target: _Target = "cpu",
    *,
    builder: _Builder = None,
    tag: _Tag = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", help="Option of the engine's run; repeatable."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--volume", help="Folder that becomes /data, where runs are kept.")
    ] = Path(),
    dry_run: _DryRun = False,
) -> None:
    """Run a Roboyard command in a container, with this folder as its working folder.

    For example:

        roboyard image run -- train my.yaml

        roboyard image run --option=--gpus=all --target gpu -- train my.yaml
    """
    import os

    from roboyard.containers.engine import find_engine
    from roboyard.containers.image import check_target

    target = check_target(target)
    engine = find_engine(builder, needs_run=True, say=_say, dry_run=dry_run)
    place = "/policies" if target == "serve" else "/data"
    mounted = f"--volume={folder.expanduser().absolute()}:{place}"
    # What is written into the folder belongs to whoever started this.
    user = f"--user={os.getuid()}:0"
    given = [*(arguments or ()), *context.args]
    code = engine.run(tag or f"roboyard:{target}", given, [mounted, user, *(options or ())])
    raise typer.Exit(code)


def _say(line: str) -> None:
    echo(line, err=True)
