"""The callbacks and record files of a run, put together from the config."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from roboyard.config.schema import ExperimentConfig
from roboyard.evaluation.evaluator import Evaluator
from roboyard.evaluation.result import EvaluationResult
from roboyard.evaluation.stopping import ShouldStop
from roboyard.evaluation.video import record_video
from roboyard.policies.contract import PolicyContract
from roboyard.runs.directory import RunDirectory
from roboyard.runs.ownership import RunOwnership
from roboyard.seeds import derive_seeds
from roboyard.tracking import JsonlWriter, MetricWriter, TensorBoardWriter
from roboyard.training import callbacks as cb
from roboyard.training.checkpoints.schedule import CheckpointSchedule
from roboyard.training.checkpoints.store import CheckpointStore
from roboyard.training.exactness import ExactnessCallback
from roboyard.training.policy_bundles import describe_envs, evaluation_facts, write_bundle
from roboyard.training.repetition import RepetitionCallback

EVALUATIONS = 20
METRIC_ROWS = 200
"""How many of each a run has by default."""


@dataclasses.dataclass(frozen=True)
class Records:
    """The files that grow while a run goes on."""

    metrics: JsonlWriter
    evaluations: JsonlWriter
    tensorboard: TensorBoardWriter | None

    @classmethod
    def open(cls, config: ExperimentConfig, run: RunDirectory) -> Records:
        """Open the files of a run."""
        tensorboard = TensorBoardWriter(run.tensorboard) if config.tracking.tensorboard else None
        return cls(JsonlWriter(run.metrics_file), JsonlWriter(run.evaluations_file), tensorboard)

    @property
    def metric_writers(self) -> tuple[MetricWriter, ...]:
        """Where rows of metrics go."""
        return (self.metrics,) if self.tensorboard is None else (self.metrics, self.tensorboard)

    def truncate_after(self, step: int) -> None:
        """Forget what was recorded after a step."""
        for writer in (*self.metric_writers, self.evaluations):
            writer.truncate_after(step)

    def close(self) -> None:
        """Close the files."""
        for writer in (*self.metric_writers, self.evaluations):
            writer.close()


@dataclasses.dataclass(frozen=True)
class CallbackSet:
    """The callbacks that others need to know."""

    conductor: cb.RunCallbackList
    checkpoint: cb.CheckpointCallback
    status: cb.StatusCallback
    exactness: ExactnessCallback
    evaluation: cb.EvaluationCallback | None
    records: Records
    contract: PolicyContract

    @property
    def best_return(self) -> float | None:
        """Best mean return of an evaluation."""
        best = self.evaluation.best if self.evaluation is not None else None
        return best.mean if best is not None else None


def assemble(
    config: ExperimentConfig,
    custody: RunOwnership,
    algorithm: BaseAlgorithm,
    *,
    records: Records,
    checkpoints: CheckpointStore,
    stop: cb.StopRequest,
    extra: Sequence[BaseCallback] = (),
) -> CallbackSet:
    """Build the callbacks of a run.

    The order matters: whether the run is still this process's comes first, what stops a run
    comes after what measures it, the checkpoint comes after everything that has a memory, and
    what tells of the checkpoint (status, upload) comes after it.

    Raises:
        ConfigError: One of the user's callbacks is wrong.
    """
    run, contract = custody.run, describe_envs(config.env)

    def keep_best(result: EvaluationResult) -> None:
        facts = {"evaluation": evaluation_facts(result, config.evaluation.seed)}
        write_bundle(run.policy_best, algorithm, config, contract, facts)

    evaluation = _evaluation(config, records, keep_best, stop)
    checkpoint = cb.CheckpointCallback(
        checkpoints,
        CheckpointSchedule(config.checkpoint),
        stop,
        (*records.metric_writers, records.evaluations),
        _best_step(evaluation) if config.checkpoint.keep_best else lambda: None,
    )
    status = cb.StatusCallback(run, checkpoint)
    delivery = cb.UploadCallback(custody, checkpoint, evaluation, stop)
    repetition = _repetition(config, algorithm)
    exactness = ExactnessCallback(config, algorithm, repetition)
    exactness.callbacks = [*cb.make_user_callbacks(config.callbacks), *extra]
    crew: list[BaseCallback | None] = [
        cb.LeaseCallback(custody),
        cb.NanGuardCallback() if config.train.check_nan else None,
        evaluation,
        cb.EarlyStopCallback(config.early_stop, evaluation, stop),
        cb.MetricsCallback(
            _interval(config.tracking.every_steps, config, METRIC_ROWS), delivery.gauges
        ),
        _video(config, run, stop),
        *exactness.callbacks,
        repetition if _may_be_continued(config) else None,
        exactness,
        checkpoint,
        status,
        delivery,
    ]
    for callback in extra:
        if isinstance(callback, cb.ProgressCallback):
            callback.evaluations = evaluation
    conductor = cb.RunCallbackList([callback for callback in crew if callback is not None], stop)
    return CallbackSet(conductor, checkpoint, status, exactness, evaluation, records, contract)


def _repetition(config: ExperimentConfig, algorithm: BaseAlgorithm) -> RepetitionCallback:
    assert algorithm.env is not None
    return RepetitionCallback(
        algorithm.env, config.env, derive_seeds(config.seed, "envs", config.env.num_envs)[0]
    )


def _may_be_continued(config: ExperimentConfig) -> bool:
    every = config.checkpoint.every_steps
    return every is None or every < config.train.total_steps


def _best_step(evaluation: cb.EvaluationCallback | None) -> Callable[[], int | None]:
    return lambda: evaluation.best.step if evaluation and evaluation.best else None


def _evaluation(
    config: ExperimentConfig,
    records: Records,
    keep_best: Callable[[EvaluationResult], None],
    stop: cb.StopRequest,
) -> cb.EvaluationCallback | None:
    settings = config.evaluation
    if not settings.during_training:
        return None
    evaluator = Evaluator(
        config.env,
        episodes=settings.episodes,
        num_envs=settings.num_envs,
        seed=settings.seed,
        deterministic=settings.deterministic,
    )

    interval = _interval(settings.every_steps, config, EVALUATIONS)
    return cb.EvaluationCallback(
        evaluator,
        interval,
        records.evaluations,
        keep_best,
        records.tensorboard,
        should_stop=stop.is_pressing,
    )


def _video(
    config: ExperimentConfig, run: RunDirectory, stop: cb.StopRequest
) -> cb.VideoCallback | None:
    video = config.video
    if video.every_steps is None:
        return None
    record = partial(_record, config=config, should_stop=stop.is_pressing)
    return cb.VideoCallback(record, run.videos, video.every_steps)


def _record(
    policy: object, path: Path, *, config: ExperimentConfig, should_stop: ShouldStop
) -> None:
    video = config.video
    record_video(
        config.env,
        policy,  # type: ignore[arg-type]
        path,
        size=(video.width, video.height),
        max_steps=video.max_steps,
        seed=config.evaluation.seed,
        should_stop=should_stop,
    )


def _interval(given: int | None, config: ExperimentConfig, times: int) -> int:
    return given if given is not None else max(1, config.train.total_steps // times)
