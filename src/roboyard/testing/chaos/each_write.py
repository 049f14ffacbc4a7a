"""Killing a run between any two of its writes, one after the other, all of them."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError, TrainingError
from roboyard.testing.chaos.compare import Outcome
from roboyard.testing.chaos.crash_points import CrashPoints

_PRELOADED = ["roboyard.training.trainer", "roboyard.testing.chaos.compare", "tensorboard.compat"]


class EachWriteReport(NamedTuple):
    """What came of killing a run at its crash points."""

    points: int
    """Crash points of the run that was left in peace."""
    kills: tuple[int, ...]
    """Those at which it was killed."""
    different: tuple[int, ...]
    """Those after which it did not end as the run that was left in peace."""

    @property
    def is_identical(self) -> bool:
        """Whether it always ended as the run that was left in peace."""
        return not self.different


def kill_at_each_write(
    config: ExperimentConfig,
    folder: Path,
    *,
    every: int = 1,
    first: int = 1,
    tell: Callable[[str], None] = lambda text: None,
) -> EachWriteReport:
    """Train a config in peace, then once for each crash point, killed there and continued.

    Args:
        config: What to train; 200 steps are enough.
        folder: Holds the runs.
        every: Take only one crash point of so many.
        first: The first to take.
        tell: Is told about each difference.

    Raises:
        TrainingError: A run failed by itself.
    """
    config = config.model_copy(update={"store": str(folder)})
    code, points = run_child(config, "whole")
    if code != 0:
        raise TrainingError(f"the run that was left in peace ended with exit code {code}.")
    whole = Outcome.of(str(folder / config.name / "whole"))
    kills, different = [], []
    for point in range(first, points + 1, every):
        name = f"killed-at-{point}"
        code, _ = run_child(config, name, point)
        if code == 0:
            continue  # threads of its own took some points later than in peace
        kills.append(point)
        again, _ = run_child(config, name)
        outcome = Outcome.of(str(folder / config.name / name))
        if code != -signal.SIGKILL or again != 0 or outcome != whole:
            different.append(point)
            tell(f"killed at crash point {point} of {points}: continued with exit code {again}")
        else:
            shutil.rmtree(folder / config.name / name)
    return EachWriteReport(points, tuple(kills), tuple(different))


def run_child(
    config: ExperimentConfig,
    run_id: str,
    strike_at: int = 0,
    number: signal.Signals = signal.SIGKILL,
) -> tuple[int, int]:
    """Train, or continue, a run in a process of its own.

    Returns:
        Its exit code, and the crash points that it passed if it ended by itself.
    """
    context = multiprocessing.get_context("forkserver")  # imports everything once, for all
    context.set_forkserver_preload(_PRELOADED)
    ours, theirs = context.Pipe(duplex=False)
    strike = _Strike(strike_at, number)
    process = context.Process(
        target=_train, args=(config, run_id, strike, theirs, dict(os.environ))
    )
    process.start()
    theirs.close()
    process.join()
    try:
        count = int(ours.recv()) if ours.poll() else 0
    except EOFError:
        count = 0
    return process.exitcode or 0, count


class _Strike(NamedTuple):
    at: int
    number: signal.Signals


def _train(
    config: ExperimentConfig,
    run_id: str,
    strike: _Strike,
    answer: Connection,
    environment: dict[str, str],
) -> None:
    os.environ.update(environment)
    points = CrashPoints(*strike)
    from roboyard.training.trainer import Trainer

    run = f"{config.store.rstrip('/')}/{config.name}/{run_id}"
    try:
        trainer = Trainer(config, resume_from=run, progress=False)
        trainer.train()
    except ConfigError:  # it has not begun
        Trainer(config, run_id=run_id, progress=False).train()
    answer.send(points.count)
