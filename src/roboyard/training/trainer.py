"""The trainer: one run, from a config to a run directory."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback

from roboyard.config.load import to_yaml
from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError, RoboyardError, StorageError, TrainingError
from roboyard.runs.directory import RunDirectory, check_run_id
from roboyard.runs.log_file import logged_to
from roboyard.runs.ownership import RunOwnership, drive_existing, drive_new
from roboyard.runs.preemption import NOTICE, Notice, PreemptionWatcher, make_sources
from roboyard.runs.provenance import record_segment
from roboyard.runs.resume import changes_of, check_continues, has_ended, keeping_backend
from roboyard.runs.signals import InterruptGuard
from roboyard.storage import atomic
from roboyard.storage.leases.guard import check_right
from roboyard.storage.leases.lease import LeaseLostError
from roboyard.storage.seal import sealed
from roboyard.training.callbacks import ProgressCallback, StopRequest
from roboyard.training.callbacks.base import Boundary, RunCallback, StopTraining
from roboyard.training.callbacks.heartbeat import heartbeat_callbacks
from roboyard.training.data_parallel.follower import follow_as_told
from roboyard.training.data_parallel.launch import is_follower, leading
from roboyard.training.finalize import conclude
from roboyard.training.monitoring import nan_check
from roboyard.training.monitoring.profile import profiled
from roboyard.training.resources import TrainingSession, open_session
from roboyard.training.result import TrainResult

__all__ = ["TrainResult", "Trainer"]

_LOG = logging.getLogger(__name__)
_ENDS = {"ends_the_run": True}
"""Marks what whoever called will say again."""


class Trainer:
    """Trains one config with one seed.

    Example::

        result = Trainer(load("configs/cartpole.yaml")).train()
        print(result.run_dir, result.evaluation.mean)
    """

    def __init__(
        self,
        config: ExperimentConfig,
        *,
        run_id: str | None = None,
        resume_from: str | Path | None = None,
        callbacks: Sequence[BaseCallback] = (),
        progress: bool = True,
        profile: bool = False,
    ) -> None:
        """Prepare a run; nothing is written yet.

        Args:
            config: What to train.
            run_id: Name of the new run's folder; by default the time.
            resume_from: A run to continue instead: its folder, or its URI in a store.
            callbacks: Callbacks besides those that the config asks for.
            progress: Show a progress bar, or lines where there is no terminal.
            profile: Measure where the time goes and write it to ``profile.json``.

        Raises:
            ConfigError: ``run_id`` cannot be a folder's name.
        """
        if run_id is not None:
            check_run_id(run_id)
        self._config = config
        self._run_id = run_id
        self._resume_from = resume_from
        self._callbacks = tuple(callbacks)
        self._progress = progress
        self._profile = profile
        self._ended = False
        self._changes: list[str] = []

    def train(self) -> TrainResult:
        """Train until the last step, a reason to stop, or a signal.

        Returns:
            How the run ended. After Ctrl-C or SIGTERM its state is ``interrupted``, and there
            is a checkpoint to continue from.

        Raises:
            ConfigError: The config, the folder or the run to continue is wrong.
            CheckpointError: There is no good checkpoint, or it belongs to another run.
            TrainingError: A number is not finite, or a worker process died.
            StorageError: The disk is full or cannot be written, another process drives the run,
                or its files could not be sent to its store.
        """
        if is_follower():
            return follow_as_told(self._config)
        with self._custody() as custody:
            return self._drive(custody)

    def _drive(self, custody: RunOwnership) -> TrainResult:
        run, stop = custody.run, StopRequest()
        with contextlib.ExitStack() as stack:
            stack.enter_context(logged_to(run.log_file))
            self._check(run)  # a config that does not continue the run is no failure of the run
            stack.enter_context(self._watched(stop))
            stack.enter_context(_failure_recorded(run))
            callbacks = (
                _Interrupts(stop),
                *self._callbacks,
                *self._shown(),
                *heartbeat_callbacks(),
            )
            group = stack.enter_context(leading(self._config))
            with open_session(self._config, custody, stop, callbacks, group) as session:
                start = self._prepare(session)
                if start < self._config.train.total_steps and not self._ended:
                    with profiled(session, start) if self._profile else contextlib.nullcontext():
                        learn(session)
                else:
                    _restore_only(session)
                result = conclude(session)
        if result.state == "interrupted":
            custody.may_miss = True
            left = stop.seconds_left
            custody.close_s = custody.close_s if left is None else left
        return result

    @contextlib.contextmanager
    def _watched(self, stop: StopRequest) -> Iterator[None]:
        """Let signals and notices ask for the end of the run."""
        config = self._config.preemption

        def notify(notice: Notice) -> None:
            _LOG.warning("%s: %s.", NOTICE, notice.reason)
            if notice.only_a_risk:
                stop.early = True
            else:
                stop.interrupt(f"{NOTICE}: {notice.reason}", notice.seconds_left)

        watcher = PreemptionWatcher(make_sources(config), notify, config.poll_seconds)
        with InterruptGuard(lambda name: stop.interrupt(name, config.grace_seconds)), watcher:
            yield

    def _custody(self) -> contextlib.AbstractContextManager[RunOwnership]:
        if self._resume_from is not None:
            return drive_existing(self._resume_from)
        return drive_new(self._config, self._run_id)

    def _check(self, run: RunDirectory) -> None:
        if self._resume_from is not None:
            self._config = keeping_backend(run, self._config)
            started_with = check_continues(run, self._config)
            self._changes = changes_of(started_with, self._config)
            self._ended = has_ended(run, started_with, self._config)

    def _shown(self) -> tuple[BaseCallback, ...]:
        return (ProgressCallback(self._config.train.total_steps),) if self._progress else ()

    def _prepare(self, session: TrainingSession) -> int:
        """Write the config; find where to start; return that step."""
        run, start = session.run, 0
        found = session.checkpoints.newest_good() if self._resume_from is not None else None
        if found is not None:
            if self._ended:
                session.stop.request("finished", run.read_status().reason)
            session.continue_from(found)
            start = found.manifest.step
        elif self._resume_from is not None:
            _LOG.warning("'%s' has no checkpoint yet; starting over.", run.path)
            session.start_over()
        atomic.write_text(run.config_file, sealed(to_yaml(session.config)))
        record_segment(run, start, self._changes)
        run.write_status(
            "running",
            start,
            last_checkpoint=found.manifest.step if found is not None else None,
            notes=session.notes,
        )
        return start


class _Interrupts(RunCallback):
    """Turns a signal or a notice that came in into a request to stop."""

    reads_all_infos = False

    def __init__(self, stop: StopRequest) -> None:
        super().__init__()
        self._request = stop

    def on_boundary(self, boundary: Boundary) -> None:
        del boundary  # Unused.
        if self._request.notice is not None:
            self._request.request("interrupted", self._request.notice)

    def on_restored(self, boundary: Boundary) -> None:
        self.on_boundary(boundary)


_NO_EPISODE = "sample before the end of the first episode"
"""What SB3 says when it is to learn from an episode that is not over."""


def learn(session: TrainingSession) -> None:
    """Run the algorithm's loop to its end or to a boundary at which to stop.

    A continued run starts like a new one, so that schedules keep their denominator; its first
    boundary puts the checkpoint back.
    """
    algorithm, total = session.algorithm, session.config.train.total_steps
    try:
        algorithm.learn(total, callback=session.conductor, log_interval=None)  # type: ignore[arg-type]
    except StopTraining:
        session.conductor.on_training_end()
        return
    except ValueError as error:
        nan_check.check_parameters(algorithm)  # torch refuses NaN without saying whence
        raise TrainingError(f"training failed at step {session.step}: {error}") from error
    except RuntimeError as error:
        if _NO_EPISODE not in str(error):
            raise
        raise ConfigError(
            "agent.hyperparameters.learning_starts is too small: hindsight experience replay needs "
            "a whole episode before the first update. Set it to more than the longest episode's "
            f"control steps times the {session.config.env.num_envs} copies (env.num_envs)."
        ) from error
    except (EOFError, ConnectionError) as error:
        raise TrainingError(
            f"a worker process died at step {session.step} ({type(error).__name__}); its own "
            "message stands above. Continue from the last checkpoint with --resume."
        ) from error
    if session.step >= total:
        session.conductor.boundary(final=True)
    else:
        session.stop.request("finished", "a callback stopped the run")


def _restore_only(session: TrainingSession) -> None:
    """Put a checkpoint back without training."""
    session.algorithm._setup_learn(session.config.train.total_steps, session.conductor)
    session.conductor.boundary(final=True)


@contextlib.contextmanager
def _failure_recorded(run: RunDirectory) -> Iterator[None]:
    """Write a failure to ``status.json`` before it goes on its way."""
    try:
        yield
    except LeaseLostError as error:
        _LOG.error("stopped: %s", error, extra=_ENDS)  # the status is the new driver's to write
        raise
    except BaseException as error:
        _raise_if_lost(run, error)
        reason = str(error) if isinstance(error, RoboyardError) else repr(error)
        state, text = ("interrupted", "stopped at once") if _is_stop(error) else ("failed", reason)
        _LOG.error("%s: %s", state, text, extra=_ENDS)
        with contextlib.suppress(StorageError):
            old = run.read_status()
            run.write_status(
                state,  # type: ignore[arg-type]
                old.step,
                reason=text,
                last_checkpoint=old.last_checkpoint,
                notes=old.notes,
            )
        raise


def _raise_if_lost(run: RunDirectory, error: BaseException) -> None:
    """Give the loss of the run as the reason where that is what made something else fail."""
    try:
        check_right(run.path)
    except LeaseLostError as lost:
        _LOG.error("stopped: %s", lost, extra=_ENDS)
        raise lost from error
    except StorageError:
        pass  # the folder is gone; what failed says so


def _is_stop(error: BaseException) -> bool:
    return isinstance(error, KeyboardInterrupt | SystemExit)
