"""How fast a config trains, measured for a few seconds on the real training path."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from roboyard.config.agents import settings_record
from roboyard.config.algorithms import OffPolicyHyperparameters, OnPolicyHyperparameters
from roboyard.config.load import load
from roboyard.config.schema import ExperimentConfig
from roboyard.errors import TrainingError
from roboyard.runs.ownership import drive_new
from roboyard.training.callbacks import RunCallback, StopRequest
from roboyard.training.callbacks.base import Boundary, StopTraining
from roboyard.training.monitoring.profile import Profile, Profiler
from roboyard.training.resources import TrainingSession, open_session
from roboyard.training.trainer import learn

SAMPLES: Final = 1024
"""Control steps of a measured rollout, unless the config's is shorter or one minibatch longer."""
FEW_STEPS: Final = 256
"""Control steps after which an off-policy algorithm begins to learn."""
_ENDLESS: Final = 10**12
_PROFILE_SHARE: Final = 0.5
"""Time for the breakdown, as a share of the time for the speed."""


@dataclasses.dataclass(frozen=True)
class Measurement:
    """How fast a config trains on this machine, and where the time goes."""

    steps_per_s: float
    """Control steps in all environments together, learning included [1/s]."""
    profile: Profile


class TooSlowError(TrainingError):
    """Not one rollout and update was over in the time there was."""


def measure(
    source: str | Path, overrides: Sequence[str], *, seconds: float, limit_s: float
) -> Measurement:
    """Train for a few seconds and throw the run away.

    It is the run that ``Trainer`` drives, without evaluations, videos, checkpoints and the
    user's own callbacks, and with short rollouts: the cost of an update is proportional to its
    samples, so what a control step costs stays the same. The first update is not counted.

    Args:
        source: The config's file.
        overrides: As after ``--set``.
        seconds: For how long to count steps; half as much follows for the breakdown.
        limit_s: For how long to train before giving up [s].

    Raises:
        ConfigError: The config cannot be trained.
        TooSlowError: It took too long.
        MissingDependencyError: The backend is not installed.
    """
    stages = _Stages(seconds, limit_s)
    with tempfile.TemporaryDirectory(prefix="roboyard-bench-") as folder:
        config = load(source, [*overrides, *_shortened(load(source, overrides), folder)])
        with (
            drive_new(config, "bench") as custody,
            open_session(config, custody, StopRequest(), [stages]) as session,
        ):
            stages.session = session
            learn(session)
    return stages.measurement()


def _shortened(config: ExperimentConfig, folder: str) -> list[str]:
    """Return the overrides that turn a run into a measurement."""
    every = config.tracking.every_steps or max(1, config.train.total_steps // 200)
    changes = {
        "store": json.dumps(folder),
        "callbacks": "[]",
        "early_stop": "{}",
        "evaluation.during_training": "false",
        "video.every_steps": "null",
        "checkpoint": f"{{every_steps: {_ENDLESS}}}",
        "tracking.every_steps": str(every),
        "train.total_steps": str(_ENDLESS),
    }
    settings = settings_record(config.agent)
    if isinstance(settings, OnPolicyHyperparameters):
        changes["agent.hyperparameters.n_steps"] = str(_rollout(config, settings))
    elif (
        isinstance(settings, OffPolicyHyperparameters)
        and getattr(config.agent, "her", None) is None
    ):
        # Hindsight needs whole episodes before it can learn.
        few = min(settings.learning_starts, max(FEW_STEPS, config.env.num_envs))
        changes["agent.hyperparameters.learning_starts"] = str(few)
    return [f"{key}={value}" for key, value in changes.items()]


def _rollout(config: ExperimentConfig, settings: OnPolicyHyperparameters) -> int:
    """Return a length of rollouts that gives whole minibatches, or the config's own."""
    copies, batch = config.env.num_envs, getattr(settings, "batch_size", 1)
    unit = next(n for n in range(1, batch + 1) if n * copies % batch == 0)
    shortest = unit * max(1, -(-SAMPLES // (unit * copies)))
    return min(settings.n_steps, shortest)


class _Stages(RunCallback):
    """Warms up, counts steps, takes the time apart, and ends the run; all at boundaries."""

    reads_all_infos = False

    def __init__(self, seconds: float, limit_s: float) -> None:
        super().__init__()
        self.session: TrainingSession | None = None
        self._seconds = seconds
        self._limit_s = limit_s
        self._give_up = float("inf")
        self._profiler: Profiler | None = None
        self._profile: Profile | None = None
        self._start: tuple[float, int] | None = None
        self._rate = 0.0

    def measurement(self) -> Measurement:
        """Return the result."""
        assert self._profile is not None, "learn() ends at the last stage, or raises"
        return Measurement(self._rate, self._profile)

    def on_boundary(self, boundary: Boundary) -> None:
        """Go on to the next stage when the present one has lasted long enough."""
        now = time.perf_counter()
        assert self.session is not None
        if self._start is None:
            if boundary.step and getattr(self.model, "_n_updates", 1):
                self._start = (now, boundary.step)
            return
        started, first = self._start
        if self._profiler is None:
            if now - started >= self._seconds:
                self._rate = (boundary.step - first) / (now - started)
                self._start = (now, boundary.step)
                self._profiler = Profiler(self.session)
        elif now - started >= _PROFILE_SHARE * self._seconds:
            self._profile = self._profiler.read()
            raise StopTraining

    def _on_training_start(self) -> None:
        self._give_up = time.perf_counter() + self._limit_s

    def _on_step(self) -> bool:
        if time.perf_counter() > self._give_up:
            raise TooSlowError(
                f"one rollout and update took more than {self._limit_s:.0f} s. "
                "Give more time with --minutes."
            )
        return True
