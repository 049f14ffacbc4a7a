"""Where the time of a run goes: physics, environments, transport, inference, learning, the rest."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy.typing as npt
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from roboyard.envs.timing import WorkTime, work_time
from roboyard.envs.vector.shared_memory_vec_env import SharedMemoryVecEnv
from roboyard.evaluation.breakdown import PROFILE_FILE
from roboyard.storage import atomic
from roboyard.training.device import choose_device
from roboyard.training.envs.stack import base_envs
from roboyard.training.monitoring.timing import CALLBACKS, ENV, INFERENCE, LEARN, LOOP, PhaseClock
from roboyard.training.resources import TrainingSession

_STEPPING = "stepping"
_CONDUCTING = ("on_rollout_start", "on_step", "on_rollout_end", "boundary")


@dataclasses.dataclass(frozen=True)
class Setting:
    """What the speed of a run depends on besides its machine, as chosen."""

    num_envs: int
    """Copies of the environment."""
    workers: int
    """Worker processes; 0 if the copies are stepped in the training process."""
    threads: int
    """Threads of the learner."""
    backend: str
    """Library that runs the networks."""
    device: str
    """Where they live."""
    device_reason: str
    """Why there."""


@dataclasses.dataclass(frozen=True)
class Profile:
    """The time of a part of a run, by phase."""

    steps: int
    """Control steps, in all environments together."""
    wall_s: float
    """Time that they took [s]."""
    phases: Mapping[str, float]
    """Time by phase [s], see ``evaluation.breakdown.PHASES``; without ``physics`` where the
    environments do not tell it."""
    setting: Setting

    def to_dict(self) -> dict[str, object]:
        """Return what ``profile.json`` holds."""
        return {
            "steps": self.steps,
            "wall_s": self.wall_s,
            "steps_per_s": self.steps / max(self.wall_s, 1e-9),
            **dataclasses.asdict(self.setting),
            "phases": dict(self.phases),
        }


class Profiler:
    """Measures a session from now on; the run's result stays the same, bit for bit."""

    def __init__(self, session: TrainingSession) -> None:
        """Start measuring."""
        self._session = session
        algorithm = session.algorithm
        assert algorithm.env is not None
        self._venv = base_envs(algorithm.env)
        self._worked = _work_of_blocks(self._venv)
        self._clock = PhaseClock(algorithm)
        for name in ("step_async", "step_wait", "reset"):
            self._clock.watch(self._venv, name, _STEPPING)
        self._overlap = _Overlap(self._venv)
        for name in _CONDUCTING:
            self._clock.watch(session.conductor, name, CALLBACKS)
        self._start = session.step
        self._started = time.perf_counter()

    def read(self, first_step: int | None = None) -> Profile:
        """Return what was measured.

        Args:
            first_step: Step at which the session stood, if not that of the start: a run that is
                continued learns its step only in its loop.
        """
        seconds, wall_s = self._clock.take(), time.perf_counter() - self._started
        work = _busiest(self._worked, _work_of_blocks(self._venv))
        start = self._start if first_step is None else first_step
        phases = {
            **_stepping_phases(seconds.get(_STEPPING, 0.0), work, self._overlap.seconds),
            "wrappers": seconds[ENV],
            "inference": seconds[INFERENCE],
            "learning": seconds[LEARN],
            "callbacks": seconds.get(CALLBACKS, 0.0),
            "loop": seconds[LOOP],
        }
        return Profile(self._session.step - start, wall_s, phases, setting_of(self._session))


class _Overlap:
    """Time for which the training process does something else while worker processes step."""

    def __init__(self, venv: VecEnv) -> None:
        self.seconds = 0.0
        self._sent = 0.0
        self._step_async, self._step_wait = venv.step_async, venv.step_wait
        if isinstance(venv, SharedMemoryVecEnv):
            vars(venv).update(step_async=self._send, step_wait=self._wait)

    def _send(self, actions: npt.NDArray[Any]) -> None:
        self._step_async(actions)
        self._sent = time.perf_counter()

    def _wait(self) -> VecEnvStepReturn:
        self.seconds += time.perf_counter() - self._sent
        return self._step_wait()


@contextlib.contextmanager
def profiled(session: TrainingSession, first_step: int) -> Iterator[None]:
    """Write ``profile.json`` of what happens in the body, unless it fails."""
    profiler = Profiler(session)
    yield
    record = profiler.read(first_step).to_dict()
    atomic.write_json(session.run.path / PROFILE_FILE, {"first_step": first_step, **record})


def setting_of(session: TrainingSession) -> Setting:
    """Return what a session has chosen."""
    algorithm, config = session.algorithm, session.config
    assert algorithm.env is not None
    venv = base_envs(algorithm.env)
    return Setting(
        num_envs=venv.num_envs,
        workers=len(venv.worker_pids) if isinstance(venv, SharedMemoryVecEnv) else 0,
        threads=torch.get_num_threads(),
        backend=config.agent.backend,
        device=str(algorithm.device),
        device_reason=choose_device(config, algorithm.env.observation_space).reason,
    )


def _work_of_blocks(venv: VecEnv) -> list[WorkTime]:
    """Return how long each process that steps environments has worked."""
    if isinstance(venv, SharedMemoryVecEnv):
        return [_together(times) for times in venv.work_times()]
    assert isinstance(venv, DummyVecEnv)
    return [_together([work_time(env) for env in venv.envs])]


def _together(times: Sequence[WorkTime]) -> WorkTime:
    physics = [each.physics_s for each in times if each.physics_s is not None]
    total = sum(each.total_s for each in times)
    return WorkTime(total, sum(physics) if len(physics) == len(times) else None)


def _busiest(before: Sequence[WorkTime], after: Sequence[WorkTime]) -> WorkTime:
    """Return the work in between of the process that had most of it: the others wait for it."""
    return max(
        (
            WorkTime(
                new.total_s - old.total_s,
                None
                if new.physics_s is None or old.physics_s is None
                else new.physics_s - old.physics_s,
            )
            for old, new in zip(before, after, strict=True)
        ),
        key=lambda work: work.total_s,
    )


def _stepping_phases(stepping_s: float, work: WorkTime, overlap_s: float) -> dict[str, float]:
    """Split the time of the vectorised steps.

    Args:
        stepping_s: Time that the training process spent in them [s].
        work: Of the busiest process.
        overlap_s: Time in which that process could work while the training process did
            something else, which hides as large a share of the work [s].
    """
    seen = stepping_s / max(stepping_s + overlap_s, work.total_s, 1e-9)
    total = work.total_s * seen
    phases = {"transport": stepping_s - total}
    if work.physics_s is None:
        return {"environment": total, **phases}
    physics = work.physics_s * seen
    return {"physics": physics, "environment": total - physics, **phases}
