"""``roboyard play``: look at a policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from roboyard.cli.evaluate import (
    Config,
    Overrides,
    Policy,
    Seed,
    Stochastic,
    Trust,
    WhichOf,
    subject_of,
)
from roboyard.cli.output import echo
from roboyard.errors import ConfigError

if TYPE_CHECKING:
    from roboyard.evaluation.policies import EvaluationSubject


def play(
    policy: Policy,
    *,
    config: Config = None,
    chosen: Annotated[
        str | None,
        typer.Option("--policy", help="The policy, if the argument is a config: zero, random, ..."),
    ] = None,
    overrides: Overrides = None,
    video: Annotated[
        Path | None, typer.Option("--video", help="Record this MP4 instead of opening a window.")
    ] = None,
    episodes: Annotated[
        int | None,
        typer.Option("--episodes", "-n", min=1, help="Episodes to show; no limit by default."),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option(
            "--max-steps", min=1, help="Control steps to show; for a video 1000 by default."
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", help="Size of the video, such as 1280x720.")
    ] = None,
    stochastic: Stochastic = False,
    seed: Seed = 0,
    which: WhichOf = "best",
    trust_code: Trust = False,
) -> None:
    """Watch a policy in a window, or record it as a video.

    Shows the episodes that an evaluation with the same seed measures, in real time, and prints
    the return of each. Ctrl-C ends it.

    For example:

        roboyard play runs/cartpole/20260101-120000

        roboyard play runs/cartpole/20260101-120000 --video out.mp4 --episodes 2

        roboyard play random --config configs/cartpole.yaml

        roboyard play configs/panda-reach.yaml --policy random --video look.mp4
    """
    pixels = _pixels(size)
    policy, config = _policy_and_config(policy, config, chosen)
    subject = subject_of(
        policy,
        config=config,
        overrides=overrides,
        which=which,
        seed=seed,
        trust_code=trust_code,
    )
    show = _Show(episodes, max_steps, seed, deterministic=not stochastic)
    if video is not None:
        _record(subject, show, video, pixels)
    else:
        _watch(subject, show)


def _policy_and_config(
    first: str, config: Path | None, chosen: str | None
) -> tuple[str, Path | None]:
    """Return what to play and in what: the argument is a policy, or a config with --policy.

    Raises:
        ConfigError: A config without a policy, or two of either.
    """
    is_config = first.endswith((".yaml", ".yml"))
    if is_config and (chosen is None or config is not None):
        raise ConfigError(
            f"'{first}' is a config: say which policy to play in it, as in --policy random."
            if chosen is None
            else f"two configs are given: '{first}' and --config {config}. Leave one out."
        )
    if chosen is not None and not is_config:
        raise ConfigError(
            f"two policies are given: '{first}' and --policy {chosen}. Leave one out, or give a "
            "config (.yaml) instead of the first."
        )
    return (chosen, Path(first)) if is_config and chosen is not None else (first, config)


class _Show(NamedTuple):
    episodes: int | None
    max_steps: int | None
    seed: int
    deterministic: bool


def _record(
    subject: EvaluationSubject, show: _Show, path: Path, size: tuple[int, int] | None
) -> None:
    from roboyard.evaluation.video import record_video

    video = record_video(
        subject.env,
        subject.policy,
        path,
        max_steps=show.max_steps or 1000,
        episodes=show.episodes,
        seed=show.seed,
        deterministic=show.deterministic,
        size=size,
    )
    for number, total in enumerate(video.returns, start=1):
        echo(f"episode {number}: return {total:.2f}")
    echo(f"video: {video.path} ({video.frames / video.fps:.0f} s)")


def _watch(subject: EvaluationSubject, show: _Show) -> None:
    from roboyard.evaluation.video import watch

    for moment in watch(subject.env, subject.policy, **show._asdict()):
        if moment.done:
            episode = f"episode {moment.episode + 1}"
            echo(f"{episode}: return {moment.total_reward:.2f}, {moment.step} steps")


def _pixels(size: str | None) -> tuple[int, int] | None:
    if size is None:
        return None
    width, _, height = size.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and min(int(width), int(height)) >= 16):
        raise ConfigError(f"--size is '{size}'. Give width x height in pixels, such as 1280x720.")
    return int(width), int(height)
