"""Records that describe a task: a robot, its surroundings, and lists of terms.

Each list is a mapping from a name of your choice to a term, so that an override can name one:
``rewards.alive.weight=2``. Order in the file is order of evaluation, and of observation entries.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    FiniteFloat,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from roboyard.config.base import Record
from roboyard.config.distributions import Distribution, smallest
from roboyard.config.grounds import GroundConfig
from roboyard.config.objects import GoalConfig, ObjectConfig
from roboyard.config.robots import RobotSpec, Vector3
from roboyard.config.uses import CodeName, Text

TermName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
"""Name of a term in its list."""


class TermConfig(Record):
    """A term and its parameters."""

    term: CodeName | None = None
    """A registered term, or ``module:function``; by default the term's name in its list."""
    params: dict[str, JsonValue] = Field(default={})
    """The term's parameters."""


class ChannelConfig(Record):
    """What happens to numbers on their way from a sensor, or to a motor.

    In this order, in each control step: bias, noise, quantisation, delay, drops.
    """

    bias: Distribution = 0.0
    """Added to every entry; drawn for each at the reset, in the unit of the numbers."""
    noise: Distribution = 0.0
    """Added to every entry; drawn anew in each control step, in the unit of the numbers."""
    quantization: NonNegativeFloat = 0.0
    """Round to multiples of this, in the unit of the numbers; 0 for not at all."""
    delay_steps: Distribution = 0
    """Age of what arrives, in control steps; drawn at the reset and rounded."""
    drop: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Probability that nothing arrives in a control step, so that the last values stay."""

    @model_validator(mode="after")
    def _no_future(self) -> Self:
        if smallest(self.delay_steps) < 0:
            raise ValueError(
                "delay_steps can be negative here; give a distribution from 0 up, such as "
                "{type: uniform, low: 0, high: 2}"
            )
        return self


class ObservationTermConfig(TermConfig):
    """A part of the observation."""

    group: Annotated[Text, Field(min_length=1)] = "observation"
    """Key in a dictionary observation; with one group only, the observation is an array."""
    scale: FiniteFloat = 1.0
    """Factor on the term's values."""
    sensor: ChannelConfig | None = None
    """Imperfections of the measurement, before ``scale``; by default there are none."""


class RewardTermConfig(TermConfig):
    """A part of the reward."""

    weight: FiniteFloat = 1.0
    """Factor on the term's value; 0 leaves the term out."""


class MetricConfig(TermConfig):
    """A number that is reported for each episode and changes nothing; see ``evaluation``.

    Its term is one of the reward's.
    """

    over: Literal["mean", "last", "largest"] = "mean"
    """What is reported of the values in an episode's control steps."""


class TerminationTermConfig(TermConfig):
    """A reason for an episode to end."""

    kind: Literal["failure", "success", "truncation"] = "failure"
    """Whether the episode ended badly, well, or was cut off (as by a time limit)."""


class EventConfig(TermConfig):
    """A change of the robot or its surroundings: the initial state, randomisation, pushes."""

    on: Literal["reset", "interval"] = "reset"
    """At the start of each episode, or every now and then within it."""
    interval_s: tuple[PositiveFloat, PositiveFloat] | None = None
    """Shortest and longest time between two occurrences [s], for ``on: interval``."""


class CommandConfig(TermConfig):
    """What the robot is asked to do: drawn at the reset, and again every now and then."""


class CurriculumConfig(Record):
    """A number of the task that changes as training goes on.

    A level runs from 0 to 1; the number is ``start`` at level 0 and ``end`` at level 1. It changes
    at resets only. Each copy of the environment counts for itself.
    """

    target: Text = Field(min_length=1)
    """Place of the number in the task, such as ``rewards.action_rate.weight`` or
    ``events.push.params.speed.high``."""
    start: FiniteFloat
    """The number at level 0."""
    end: FiniteFloat
    """The number at level 1."""
    by: Literal["steps", "success"] = "steps"
    """Whether the level rises with control steps, or with how well episodes went."""
    steps: tuple[NonNegativeInt, PositiveInt] = (0, 100_000)
    """For ``by: steps``: control steps of this copy at which the level is 0, and 1."""
    measure: Text = "success"
    """For ``by: success``: ``success``, the episode's ``length`` as a share of its limit, or
    ``rewards.NAME``, that term's mean value in a control step, before its weight."""
    episodes: PositiveInt = 1
    """For ``by: success``: episodes whose measures are averaged before the level changes."""
    raise_above: FiniteFloat = 0.8
    """For ``by: success``: the level rises where the mean is above this."""
    lower_below: FiniteFloat = 0.4
    """For ``by: success``: the level falls where the mean is below this."""
    step: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    """For ``by: success``: how far the level rises or falls."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.steps[0] >= self.steps[1]:
            raise ValueError(f"steps are reversed: {self.steps[0]} is not below {self.steps[1]}")
        if self.lower_below > self.raise_above:
            raise ValueError(
                f"lower_below {self.lower_below} is above raise_above {self.raise_above}"
            )
        return self


class WorldSettings(Record):
    """Physics settings of the world."""

    engine: CodeName = "pybullet"
    """The physics engine."""
    time_step: PositiveFloat = 1 / 240
    """Physics step [s]."""
    steps_per_call: PositiveInt = 1
    """Physics steps per engine call; torques are held over them."""
    gravity: Vector3 = (0.0, 0.0, -9.81)
    """Gravity [m/s^2]."""
    solver_iterations: PositiveInt = 50
    """Iterations of the constraint solver in each physics step."""
    contact_erp: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Error reduction of contacts per step; by default the engine's."""


class TaskConfig(Record):
    """A task, fully described."""

    description: Text = ""
    """What is to be learnt, in one line."""
    robot: str | RobotSpec
    """A robot of the catalogue, a YAML file of a robot spec, or the spec itself."""
    world: WorldSettings = WorldSettings()
    """Physics settings."""
    ground: GroundConfig = GroundConfig()
    """What the robot stands on."""
    objects: dict[TermName, ObjectConfig] = Field(default={})
    """Things beside the robot."""
    substeps: PositiveInt = 1
    """Engine calls per control step."""
    max_episode_steps: PositiveInt | None = 1000
    """Control steps after which an episode is cut off; null for never."""
    acting: ChannelConfig | None = None
    """Imperfections between the action and the actuators, on entries in [-1, 1]."""
    commands: dict[TermName, CommandConfig] = Field(default={})
    """What the robot is asked to do, in the order of drawing."""
    observations: dict[TermName, ObservationTermConfig] = Field(min_length=1)
    """Parts of the observation."""
    clip_observations: PositiveFloat | None = None
    """Limit every observation entry to this absolute value."""
    rewards: dict[TermName, RewardTermConfig] = Field(default={})
    """Parts of the reward."""
    goal: GoalConfig | None = None
    """Takes the reward from how far a goal is, instead of from ``rewards``."""
    positive_rewards: bool = False
    """Raise the reward to 0 where its terms sum to less, so that ending early never pays."""
    terminations: dict[TermName, TerminationTermConfig] = Field(default={})
    """Reasons for an episode to end, besides its length."""
    events: dict[TermName, EventConfig] = Field(default={})
    """Initial state and randomisation, in the order in which they happen."""
    curricula: dict[TermName, CurriculumConfig] = Field(default={})
    """Numbers that change as training goes on."""
    metrics: dict[TermName, MetricConfig] = Field(default={})
    """What evaluations report beside the return."""

    @model_validator(mode="after")
    def _one_reward(self) -> Self:
        if self.goal is None and not self.rewards:
            raise ValueError("rewards is missing: name at least one term, or give a goal")
        if self.goal is not None and self.rewards:
            raise ValueError(
                "give either goal or rewards: with a goal the reward is computed from the goal "
                "alone, so that it can be computed again for other goals"
            )
        return self
