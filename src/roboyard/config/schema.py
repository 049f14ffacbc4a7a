"""The shape of an experiment: every key that a YAML file may hold."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import (
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    model_validator,
)
from pydantic_core import PydanticCustomError

from roboyard.config.agents import AgentConfig
from roboyard.config.base import Entry, Name, Record
from roboyard.config.checks import conflicts
from roboyard.config.references import Path, Reference
from roboyard.config.tasks import TaskConfig
from roboyard.config.uses import CodeName, Place


class NormalizeConfig(Record):
    """Running normalisation of observations and rewards."""

    observations: bool = False
    """Scale each observation entry to zero mean and unit variance."""
    rewards: bool = False
    """Scale rewards by the running standard deviation of the discounted return."""
    clip_observations: PositiveFloat = 10.0
    """Largest absolute value of a normalised observation entry."""
    clip_rewards: PositiveFloat = 10.0
    """Largest absolute value of a normalised reward."""


TASK_ID = "roboyard/Task-v0"
"""The environment that ``env.task`` describes."""


class EnvConfig(Record):
    """The environment and how many copies of it run."""

    id: CodeName = Field(default=TASK_ID, min_length=1)
    """A Gymnasium id such as ``roboyard/SimpleRobot-v0``, a task name, or ``module:Class``."""
    task: TaskConfig | None = None
    """A task of your own instead of ``id``: a mapping, or the name of a YAML file."""
    kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments for the environment's constructor."""
    num_envs: PositiveInt = 1
    """How many copies are stepped together."""
    workers: Literal["auto"] | NonNegativeInt = "auto"
    """Worker processes that step the copies; 0 steps them in the training process."""
    max_episode_steps: PositiveInt | None = None
    """Truncate episodes after this many control steps, instead of the environment's own limit."""
    normalize: NormalizeConfig = NormalizeConfig()
    """Running normalisation."""

    @model_validator(mode="after")
    def _one_environment(self) -> Self:
        if self.id == TASK_ID and self.task is None and "task" not in self.kwargs:
            raise ValueError("id is missing: name an environment, or describe one in task")
        if self.id != TASK_ID and self.task is not None:
            raise ValueError(f"give either id or task; id is '{self.id}'")
        return self


class DataParallelConfig(Record):
    """Processes that train one run together."""

    workers: PositiveInt = 1
    """Processes, each with its share of ``env.num_envs`` and of every minibatch."""
    timeout_s: PositiveFloat = 1800.0
    """Longest wait for another process [s], evaluations included; then the run ends."""


class TrainConfig(Record):
    """How long and on what to train."""

    total_steps: PositiveInt
    """Control steps in all environments together."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network lives; ``auto`` keeps small networks on the CPU."""
    threads: Literal["auto"] | PositiveInt = "auto"
    """Threads of the learner; ``auto`` takes two where two networks can learn side by side."""
    data_parallel: DataParallelConfig = DataParallelConfig()
    """Processes that train this run together; the result is that of one, within rounding."""
    check_nan: bool = True
    """Stop with a message that says where, as soon as a number is not finite."""


class CheckpointConfig(Record):
    """When checkpoints are written and which are kept."""

    every_steps: PositiveInt | None = None
    """Control steps between checkpoints; by default chosen by time, see ``every_minutes``."""
    every_minutes: PositiveFloat | None = None
    """Wall-clock time between checkpoints [min]; by default chosen from their measured cost."""
    hours_between_failures: PositiveFloat = 4.0
    """Mean time between kills [h] for which the default interval loses the least time."""
    keep_last: PositiveInt = 3
    """How many of the newest to keep."""
    keep_every_steps: PositiveInt | None = None
    """Keep the first checkpoint of each so many control steps for ever; by default none."""
    keep_best: bool = False
    """Write a checkpoint at each new best evaluation, and keep that of the best."""

    @model_validator(mode="after")
    def _one_interval(self) -> Self:
        if self.every_steps is not None and self.every_minutes is not None:
            raise ValueError("give either every_steps or every_minutes, or neither")
        return self


class PreemptionConfig(Record):
    """How a run learns that its machine is about to be taken away."""

    watch: tuple[Literal["imds", "file"], ...] = ()
    """``imds`` asks the EC2 metadata service for spot notices; ``file`` waits for a file."""
    file: Place | None = None
    """File whose appearance asks to stop; it may hold the seconds that are left."""
    poll_seconds: PositiveFloat = 5.0
    """Time between two looks [s]."""
    grace_seconds: PositiveFloat | None = None
    """Time from SIGTERM, or the file's appearance, to SIGKILL [s]; unlimited by default."""

    @model_validator(mode="after")
    def _file_is_named(self) -> Self:
        if ("file" in self.watch) != (self.file is not None):
            raise ValueError("give both watch: [file] and file: NAME, or neither")
        return self


class EvaluationConfig(Record):
    """Evaluation on separate environments, during training and at its end."""

    every_steps: PositiveInt | None = None
    """Control steps between evaluations; by default a twentieth of the run."""
    episodes: PositiveInt = 10
    """Episodes of each evaluation during training."""
    final_episodes: PositiveInt = 20
    """Episodes of the evaluation of the best policy at the end."""
    num_envs: PositiveInt = 4
    """Copies of the environment that are stepped together."""
    deterministic: bool = True
    """Take the most likely action instead of a sample."""
    seed: NonNegativeInt = 1_000_003
    """Seed of the evaluation episodes during training; the final evaluation uses the next one."""
    during_training: bool = True
    """Switches evaluation during training off; the last policy is then the best one."""


class EarlyStopConfig(Record):
    """Reasons to end a run before its last step."""

    return_threshold: float | None = None
    """Stop when an evaluation's mean return reaches this."""
    patience: PositiveInt | None = None
    """Stop after this many evaluations without a better mean return."""
    min_improvement: float = Field(default=0.0, ge=0.0)
    """How much better counts as better, for ``patience``."""
    max_minutes: PositiveFloat | None = None
    """Stop after this much wall-clock time [min] of this process."""


class VideoConfig(Record):
    """Videos of the deterministic policy."""

    every_steps: PositiveInt | None = None
    """Control steps between videos during training; none by default."""
    final: bool = True
    """Record the best policy at the end."""
    max_steps: PositiveInt = 1000
    """Longest video [control steps]."""
    width: PositiveInt = 480
    """Picture width [pixels]."""
    height: PositiveInt = 360
    """Picture height [pixels]."""


class TrackingConfig(Record):
    """Where metrics go."""

    tensorboard: bool = True
    """Write TensorBoard event files."""
    every_steps: PositiveInt | None = None
    """Control steps between rows of metrics; by default a two-hundredth of the run."""


class CallbackConfig(Record):
    """A user's own callback."""

    entry: Entry
    """``"module:Class"`` of a stable_baselines3 ``BaseCallback``."""
    kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments for its constructor."""


class ExperimentConfig(Record):
    """One run, fully described."""

    name: Name
    """Name of the experiment; its runs live in ``<store>/<name>/``."""
    seed: NonNegativeInt = Field(default=0, lt=2**31)
    """Seed of everything random."""
    store: Place = Field(default="runs", min_length=1)
    """Folder (or ``s3://bucket/prefix``) where run directories live."""
    env: EnvConfig
    """The environment."""
    agent: AgentConfig
    """The algorithm, its hyperparameters and its networks."""
    train: TrainConfig
    """How long and on what to train."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """When checkpoints are written and which are kept."""
    preemption: PreemptionConfig = PreemptionConfig()
    """How a run learns that its machine is about to be taken away."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Evaluation during training and at its end."""
    early_stop: EarlyStopConfig = EarlyStopConfig()
    """Reasons to end a run early."""
    video: VideoConfig = VideoConfig()
    """Videos."""
    tracking: TrackingConfig = TrackingConfig()
    """Where metrics go."""
    callbacks: tuple[CallbackConfig, ...] = ()
    """The user's own callbacks."""
    _references: dict[Path, Reference] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = conflicts(self)
        if problems:
            text = "; ".join(f"{problem.path}: {problem.text}" for problem in problems)
            raise PydanticCustomError(
                "cross_field", "{text}", {"text": text, "problems": [tuple(p) for p in problems]}
            )
        return self

    def with_backend(self, backend: str) -> Self:
        """Return the config with another ``agent.backend``."""
        agent = self.agent.model_copy(update={"backend": backend})
        return self.model_copy(update={"agent": agent})
