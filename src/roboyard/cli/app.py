"""The command line: finds one file a subcommand and prints errors in one line."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated, Any, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup

from roboyard import __version__
from roboyard.cli.output import echo
from roboyard.errors import RoboyardError

_HELP = """From a robot description and one YAML file to a trained, measured, deployable policy.

Start with: roboyard init my.yaml; roboyard train my.yaml; roboyard evaluate runs/my/<run-id>
"""


class Subcommand(NamedTuple):
    """Where a subcommand is, and what the overview says of it."""

    module: str
    """Module below ``roboyard.cli``, with a function of that name or an ``app`` of several."""
    panel: str
    help: str
    """The first paragraph of its own help."""


_TRAIN, _USE = "Train", "Use and check policies"
_MANY, _LOOK = "Many runs and machines", "Look at what is there"
SUBCOMMANDS = {
    "init": Subcommand(
        "init", _TRAIN, "Write a commented starter config that shows every key with its default."
    ),
    "train": Subcommand("train", _TRAIN, "Train a policy."),
    "bench": Subcommand(
        "bench",
        _TRAIN,
        "Measure how fast a config trains here, by setting, and say which setting is best.",
    ),
    "chaos": Subcommand(
        "chaos",
        _TRAIN,
        "Train a config twice, once killed again and again, and compare the results bit for bit.",
    ),
    "evaluate": Subcommand(
        "evaluate", _USE, "Measure a policy over whole episodes with fixed seeds."
    ),
    "play": Subcommand("play", _USE, "Watch a policy in a window, or record it as a video."),
    "export": Subcommand(
        "export",
        _USE,
        "Turn a policy into one graph: normalisation, network, clipping and scaling in one.",
    ),
    "serve": Subcommand(
        "serve", _USE, "Serve policies over HTTP and WebSocket until SIGTERM or Ctrl-C."
    ),
    "sim2sim": Subcommand(
        "sim2sim", _USE, "Measure how a task and a policy differ between two engines."
    ),
    "policy": Subcommand("policy", _USE, "Look at, check and compare policy bundles."),
    "experiment": Subcommand(
        "experiment",
        _MANY,
        "Run, watch and compare experiments: several seeds and variants of one config.",
    ),
    "tune": Subcommand("tune", _MANY, "Search for the best values of some of a config's keys."),
    "cloud": Subcommand(
        "cloud", _MANY, "Rehearse a fleet of spot machines; run on one of its instances."
    ),
    "image": Subcommand("image", _MANY, "Build, push and run container images."),
    "runs": Subcommand(
        "runs",
        _LOOK,
        "List, show, fetch, verify and prune runs, in folders and in s3:// buckets.",
    ),
    "list": Subcommand("listing", _LOOK, "List environments, algorithms and configs."),
    "config": Subcommand("config", _LOOK, "Check, show and complete configs."),
    "task": Subcommand("task", _LOOK, "Look at tasks: terms, spaces, rates."),
    "robot": Subcommand("robot", _LOOK, "Look at robots: tables, warnings, a picture."),
    "doctor": Subcommand(
        "doctor", _LOOK, "Check versions, physics, rendering, video, threads and accelerator."
    ),
}
"""All subcommands, in the order of the overview."""


def load_subcommand(name: str) -> TyperCommand | TyperGroup:
    """Return a subcommand, imported."""
    module = importlib.import_module(f"roboyard.cli.{SUBCOMMANDS[name].module}")
    found: typer.Typer | None = getattr(module, "app", None)
    if found is None:
        found = typer.Typer(
            add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich"
        )
        found.command(name, context_settings=_CONTEXT)(getattr(module, name))
    found.info.context_settings = _CONTEXT
    command = cast("TyperCommand | TyperGroup", typer.main.get_command(found))
    command.name = name
    return command


class _Subcommands(TyperGroup):
    """Subcommands that are imported when they are called: the overview needs none of them."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401  (typer's own)
        super().__init__(**settings)
        for name, it in SUBCOMMANDS.items():
            self.commands[name] = TyperCommand(name, help=it.help, rich_help_panel=it.panel)

    def resolve_command(
        self,
        ctx: Any,  # noqa: ANN401  (a class that typer keeps to itself)
        args: list[str],
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        name, _, rest = super().resolve_command(ctx, args)
        return name, load_subcommand(name) if name else None, rest


_CONTEXT = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    cls=_Subcommands,
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings=_CONTEXT,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        echo(f"roboyard {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    del version  # Unused.
    if debug:
        os.environ["ROBOYARD_DEBUG"] = "1"


def run() -> None:
    """Run the command line; an expected error is one line on stderr and an exit code.

    Exit codes: 0 done, 1 failure, 2 the user's mistake, 75 interrupted and can be continued,
    77 another process has taken the run over, 130 aborted with Ctrl-C.
    """
    try:
        app()
    except RoboyardError as error:
        if os.environ.get("ROBOYARD_DEBUG"):
            raise
        echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        echo("aborted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (as in `| head`); that is not our failure.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
