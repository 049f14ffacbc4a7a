"""``roboyard evaluate``: measure a policy."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from roboyard.cli.output import cell, echo
from roboyard.errors import ConfigError

if TYPE_CHECKING:
    from roboyard.config.schema import EnvConfig
    from roboyard.evaluation.evaluator import EvaluationResult
    from roboyard.evaluation.policies import EvaluationSubject
    from roboyard.policies.bundle.locate import Which

_POLICY_HELP = (
    "Run directory or policy bundle (.zip), also in s3://; random, zero, or module:function."
)

Policy = Annotated[str, typer.Argument(help=_POLICY_HELP, show_default=False)]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="YAML file that names the environment; by default the one the policy was trained in.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override one key of --config, such as env.id=Pendulum-v1."),
]
NumEnvs = Annotated[
    int, typer.Option("--num-envs", help="Copies stepped together; same result for any.")
]
Workers = Annotated[
    str | None, typer.Option("--workers", help="Processes that step them: a number, or auto.")
]
Stochastic = Annotated[
    bool, typer.Option("--stochastic", help="Sample actions instead of taking the likeliest.")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the episodes.")]
WhichOf = Annotated[str, typer.Option("--which", help="A run's best or last policy.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust-code", help="Allow a bundle file to name code (module:Class) and to bring a robot."
    ),
]


def evaluate(
    policy: Policy,
    *,
    config: Config = None,
    overrides: Overrides = None,
    episodes: Annotated[int, typer.Option("--episodes", "-n", help="How many episodes.")] = 20,
    num_envs: NumEnvs = 4,
    workers: Workers = None,
    stochastic: Stochastic = False,
    seed: Seed = 0,
    which: WhichOf = "best",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the result to this file.")
    ] = None,
    video: Annotated[
        Path | None, typer.Option("--video", help="Also record the first episodes as MP4.")
    ] = None,
    window: Annotated[
        bool, typer.Option("--window", help="Afterwards show the first episode in a window.")
    ] = False,
    trust_code: Trust = False,
) -> None:
    """Measure a policy over whole episodes with fixed seeds.

    Prints mean, standard deviation, median and interquartile mean with a 95 % bootstrap
    interval. The same policy, seed and number of episodes give the same result.

    For example:

        roboyard evaluate runs/cartpole/20260101-120000

        roboyard evaluate random --config configs/cartpole.yaml --episodes 100

        roboyard evaluate my_package:act -c configs/cartpole.yaml --video act.mp4
    """
    from roboyard.evaluation.evaluator import Evaluator
    from roboyard.storage import atomic

    subject = subject_of(
        policy, config=config, overrides=overrides, which=which, seed=seed, trust_code=trust_code
    )
    evaluator = Evaluator(
        subject.env,
        episodes=episodes,
        num_envs=num_envs,
        seed=seed,
        deterministic=not stochastic,
        workers=_workers(workers),
    )
    start = time.perf_counter()
    with evaluator, _progress() as bar:
        task = bar.add_task("episodes", total=episodes)
        result = evaluator.evaluate(subject.policy, lambda _: bar.advance(task))
    Console().print(result_table(subject, result, time.perf_counter() - start))
    if json_file is not None:
        facts = {"policy": subject.label, "environment": subject.env.id, "seed": seed}
        atomic.write_json(json_file, {**facts, **result.to_dict()})
        echo(f"result: {json_file}")
    _show(subject, video, window=window, seed=seed, deterministic=not stochastic)


def subject_of(
    policy: str,
    *,
    config: Path | None,
    overrides: list[str] | None,
    which: str,
    seed: int,
    trust_code: bool,
) -> EvaluationSubject:
    """Return the policy and the environment that the command line names.

    Raises:
        ConfigError: An option is wrong, or the environment is needed and missing.
        PolicyError: The policy cannot be read.
    """
    from roboyard.evaluation.policies import resolve_subject

    choice = checked_which(which)
    env = _environment(config, overrides)
    return resolve_subject(policy, env, which=choice, seed=seed, trust_code=trust_code)


def checked_which(which: str) -> Which:
    """Return the value of ``--which``.

    Raises:
        ConfigError: It is another one.
    """
    if which not in ("best", "last"):
        raise ConfigError(f"--which is '{which}'. Allowed: best, last.")
    return cast("Which", which)


def _workers(text: str | None) -> int | Literal["auto"] | None:
    """Return the value of ``--workers``, None where the environment's config decides.

    Raises:
        ConfigError: It is neither a number nor ``auto``.
    """
    if text is None or text == "auto":
        return text  # type: ignore[return-value]
    if not text.isdecimal():
        raise ConfigError(f"--workers is '{text}'. Allowed: auto, or a whole number from 0.")
    return int(text)


def result_table(subject: EvaluationSubject, result: EvaluationResult, seconds: float) -> Table:
    """Return the result as a table."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    steps = sum(result.lengths)
    rows = [
        ("policy", subject.label),
        ("environment", subject.env.id),
        ("episodes", f"{len(result.returns)} in {seconds:.1f} s ({steps / seconds:,.0f} steps/s)"),
        ("mean return", f"{result.mean:.2f} ± {result.std:.2f} (standard deviation)"),
        ("median", f"{result.median:.2f}"),
        (
            "interquartile mean",
            f"{result.iqm:.2f}, 95 % interval {result.iqm_low:.2f} to {result.iqm_high:.2f}",
        ),
        ("lowest, highest", f"{min(result.returns):.2f}, {max(result.returns):.2f}"),
        ("mean length", f"{result.mean_length:.1f} steps"),
    ]
    if result.success_rate is not None:
        rows.append(("success rate", f"{result.success_rate:.1%}"))
    rows += [(f"mean {name}", f"{value:.4g}") for name, value in result.mean_metrics.items()]
    for row in rows:
        table.add_row(*map(cell, row))
    return table


def _show(
    subject: EvaluationSubject, video: Path | None, *, window: bool, seed: int, deterministic: bool
) -> None:
    from roboyard.evaluation.video import record_video, watch

    env, policy = subject.env, subject.policy
    if video is not None:
        written = record_video(env, policy, video, seed=seed, deterministic=deterministic)
        echo(f"video: {written.path} ({written.frames / written.fps:.0f} s)")
    if window:
        for _ in watch(env, policy, episodes=1, seed=seed, deterministic=deterministic):
            pass


def _environment(config: Path | None, overrides: list[str] | None) -> EnvConfig | None:
    if config is None:
        if overrides:
            raise ConfigError("--set changes a key of --config, and no --config was given.")
        return None
    from roboyard.config.load import load

    return load(config, overrides or []).env


def _progress() -> Progress:
    """Return a bar on stderr, which shows in a terminal only."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
