"""A rehearsal: the whole course of a run in a few steps, to find early what would end it late."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch

from roboyard.agents.memory import check_memory
from roboyard.config.load import load
from roboyard.config.schema import ExperimentConfig
from roboyard.envs.factory import make_env
from roboyard.errors import ConfigError, RoboyardError
from roboyard.training.seeding import preserved_generators
from roboyard.training.trainer import Trainer

STEPS: Final = 8
"""Control steps of a copy, and of an episode."""


def rehearse(source: str | Path, overrides: Sequence[str] = ()) -> None:
    """Train, evaluate and bundle for a few steps, and throw the run away.

    It is the run that ``Trainer`` drives, with at most two copies in this process, short episodes
    and rollouts, small buffers, and without the user's own callbacks.

    Args:
        source: The config's file.
        overrides: As after ``--set``.

    Raises:
        RoboyardError: Training would be refused, or fail; the message is training's own.
    """
    threads = torch.get_num_threads()
    full = load(source, overrides)
    with tempfile.TemporaryDirectory(prefix="roboyard-rehearsal-") as folder:
        short = load(source, [*overrides, *_shortened(full, folder)])
        try:
            _check_memory(full)
            with preserved_generators(), _silence():
                Trainer(short, run_id="rehearsal", progress=False).train()
        except RoboyardError:
            raise
        except Exception as error:
            raise ConfigError(
                f"{STEPS} steps of training end with {type(error).__name__}: {error}"
            ) from error
        finally:
            torch.set_num_threads(threads)


def _check_memory(config: ExperimentConfig) -> None:
    """Check what a rehearsal's small buffer does not show."""
    env = make_env(config.env)
    try:
        check_memory(config.agent, env.observation_space, env.action_space)
    finally:
        env.close()


def _shortened(config: ExperimentConfig, folder: str) -> list[str]:
    """Return the overrides that make a rehearsal of a run."""
    copies = min(config.env.num_envs, 2)
    changes: dict[str, Any] = {
        "store": folder,
        "callbacks": [],
        "early_stop": {},
        "preemption": {},
        "env.num_envs": copies,
        "env.workers": 0,
        "env.max_episode_steps": STEPS,
        "train.total_steps": 2 * STEPS * copies,
        "checkpoint": {"every_steps": STEPS * copies},
        "evaluation.every_steps": STEPS * copies,
        "evaluation.episodes": 1,
        "evaluation.final_episodes": 1,
        "evaluation.num_envs": 1,
        "video.every_steps": None,
        "video.final": False,
        "tracking.tensorboard": False,
    }
    small = {"n_steps": STEPS, "batch_size": STEPS * copies, "n_epochs": 1}
    if hasattr(config.agent.hyperparameters, "learning_starts"):
        small = {"learning_starts": STEPS * copies, "buffer_size": 64 * copies, "batch_size": STEPS}
    for name, value in small.items():
        if hasattr(config.agent.hyperparameters, name):
            changes[f"agent.hyperparameters.{name}"] = value
    return [f"{key}={json.dumps(value)}" for key, value in changes.items()]


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the log of a run that is thrown away from the console."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
