"""Looking at a policy: an MP4 file that browsers play, or a window."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import PolicyPredictor

from roboyard.config.schema import EnvConfig
from roboyard.envs.factory import make_env
from roboyard.errors import ConfigError, RoboyardError, SimulationError
from roboyard.evaluation.frames import Picture, caption, fitted
from roboyard.evaluation.mp4 import mp4_file
from roboyard.evaluation.rollout import Moment, rollout
from roboyard.evaluation.stopping import ShouldStop, refuse_to_go_on

MAX_FPS = 30.0
"""Pictures per second that are enough; of a faster environment every n-th step is shown, as a
software renderer takes about 30 ms for each."""

DEFAULT_FPS = 30.0
HOLD_S = 0.5
"""How long the last picture of an episode stays [s]."""


class Video(NamedTuple):
    """A written video."""

    path: Path
    frames: int
    fps: float
    """Pictures per second; the video runs in real time."""
    returns: tuple[float, ...]
    """Returns of its whole episodes."""


def record_video(
    env: EnvConfig,
    policy: PolicyPredictor,
    path: str | Path,
    *,
    max_steps: int = 1000,
    episodes: int | None = None,
    seed: int = 0,
    deterministic: bool = True,
    size: tuple[int, int] | None = None,
    overlay: bool = True,
    should_stop: ShouldStop | None = None,
) -> Video:
    """Record episodes to an MP4 file (H.264), in real time, until ``max_steps``.

    The episodes are those of an evaluation with the same seed. The file appears whole or not
    at all.

    Args:
        env: The environment.
        policy: Anything with SB3's ``predict``.
        path: The file.
        max_steps: Control steps in all.
        episodes: Episodes in all; as many as ``max_steps`` allows by default.
        seed: Seed of the episodes.
        deterministic: Ask for the most likely action instead of a sample.
        size: Width and height [pixels]; the environment's own by default.
        overlay: Write episode, step and return into the picture.
        should_stop: Asked at every step; true ends the recording.

    Raises:
        ConfigError: The environment cannot render.
        PolicyError: The policy does not fit the environment or fails.
        StorageError: The file cannot be written.
        StoppedError: ``should_stop`` said so; there is no file.
    """
    path = Path(path)
    returns: list[float] = []
    with contextlib.closing(_open(env, "rgb_array")) as made:
        control_fps = control_rate(made)
        stride = math.ceil(control_fps / MAX_FPS)
        fps = control_fps / stride
        limits = {"max_steps": max_steps, "episodes": episodes}
        moments = rollout(made, policy, **limits, seed=seed, deterministic=deterministic)
        with mp4_file(path, fps) as show:
            frames = 0
            for moment in moments:
                refuse_to_go_on(should_stop, "a video")
                if moment.done:
                    returns.append(moment.total_reward)
                elif moment.step % stride:
                    continue
                picture = fitted(_picture(made, env.id), size)
                picture = caption(picture, _text(moment)) if overlay else picture
                shown = 1 + round(HOLD_S * fps) * moment.done
                for _ in range(shown):
                    show(picture)
                frames += shown
    return Video(path, frames, fps, tuple(returns))


def watch(
    env: EnvConfig,
    policy: PolicyPredictor,
    *,
    max_steps: int | None = None,
    episodes: int | None = None,
    seed: int = 0,
    deterministic: bool = True,
) -> Iterator[Moment]:
    """Show episodes in the environment's own window, in real time, and yield each moment.

    Args:
        env: The environment.
        policy: Anything with SB3's ``predict``.
        max_steps: Control steps in all; None for no limit.
        episodes: Episodes in all; None for no limit.
        seed: Seed of the episodes.
        deterministic: Ask for the most likely action instead of a sample.

    Raises:
        ConfigError: No window can be opened.
        PolicyError: The policy does not fit the environment or fails.
    """
    with contextlib.closing(_open(env, "human")) as made:
        period = 1.0 / control_rate(made)
        due = time.monotonic()
        for moment in rollout(
            made,
            policy,
            max_steps=max_steps,
            episodes=episodes,
            seed=seed,
            deterministic=deterministic,
        ):
            made.render()
            # An environment that already waits leaves nothing to wait for here.
            due = max(due + period, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            yield moment


def control_rate(env: gymnasium.Env[Any, Any]) -> float:
    """Return control steps per second of simulated time, from the ``render_fps`` metadata."""
    rate = env.metadata.get("render_fps")
    return float(rate) if rate else DEFAULT_FPS


def _open(env: EnvConfig, render_mode: str) -> gymnasium.Env[Any, Any]:
    try:
        return make_env(env, render_mode=render_mode)
    except SimulationError as error:
        if render_mode != "human":
            raise
        raise ConfigError(
            f"environment '{env.id}' cannot open a window: {error} "
            "To see it without one, record a video (--video)."
        ) from error


def _picture(env: gymnasium.Env[Any, Any], name: str) -> Picture:
    try:
        frame: object = env.render()
    except RoboyardError:
        raise
    except Exception as error:  # such as a drawing library that is not installed
        raise ConfigError(f"environment '{name}' cannot render pictures: {error}") from error
    if isinstance(frame, list) and frame:
        frame = frame[-1]
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] != 3:
        raise ConfigError(
            f"environment '{name}' cannot render pictures: render() with "
            f"render_mode='rgb_array' gave {type(frame).__name__}, not an array (height, width, 3)."
        )
    picture: NDArray[np.uint8] = frame.astype(np.uint8, copy=False)
    return picture


def _text(moment: Moment) -> str:
    return f"episode {moment.episode + 1}   step {moment.step}   return {moment.total_reward:.1f}"
