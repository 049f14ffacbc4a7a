"""Records that describe a task: a robot, its surroundings, and lists of terms.

Each list is a mapping from a name of your choice to a term, so that an override can name one:
``rewards.alive.weight=2``. Order in the file is order of evaluation, and of observation entries.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, JsonValue, NonNegativeFloat, PositiveFloat, PositiveInt

from roboyard.config.base import Record
from roboyard.config.robots import RobotSpec, Vector3

TermName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
"""Name of a term in its list."""


class TermConfig(Record):
    """A term and its parameters."""

    term: str | None = None
    """A registered term, or ``module:function``; by default the term's name in its list."""
    params: dict[str, JsonValue] = Field(default={})
    """The term's parameters."""


class ObservationTermConfig(TermConfig):
    """A part of the observation."""

    group: Annotated[str, Field(min_length=1)] = "observation"
    """Key in a dictionary observation; with one group only, the observation is an array."""
    scale: FiniteFloat = 1.0
    """Factor on the term's values."""


class RewardTermConfig(TermConfig):
    """A part of the reward."""

    weight: FiniteFloat = 1.0
    """Factor on the term's value; 0 leaves the term out."""


class TerminationTermConfig(TermConfig):
    """A reason for an episode to end."""

    kind: Literal["failure", "success"] = "failure"
    """Whether the episode ended badly or well."""


class EventConfig(TermConfig):
    """A change of the robot or its surroundings: the initial state, randomisation, pushes."""

    on: Literal["reset", "interval"] = "reset"
    """At the start of each episode, or every now and then within it."""
    interval_s: tuple[PositiveFloat, PositiveFloat] | None = None
    """Shortest and longest time between two occurrences [s], for ``on: interval``."""


class WorldSettings(Record):
    """Physics settings of the world."""

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


class GroundConfig(Record):
    """What the robot stands on."""

    type: Literal["none", "plane", "stadium"] = "plane"
    """Nothing; a plane; or the plane of PyBullet's locomotion environments."""
    friction: NonNegativeFloat | None = None
    """Friction coefficient; by default the description's."""
    restitution: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    """Bounciness, 0 to 1; by default the description's."""


class ObjectConfig(Record):
    """A thing beside the robot."""

    link: str
    """A link, in the robot's own file but of another body, that is the thing."""


class TaskConfig(Record):
    """A task, fully described."""

    description: str = ""
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
    observations: dict[TermName, ObservationTermConfig] = Field(min_length=1)
    """Parts of the observation."""
    clip_observations: PositiveFloat | None = None
    """Limit every observation entry to this absolute value."""
    rewards: dict[TermName, RewardTermConfig] = Field(min_length=1)
    """Parts of the reward."""
    terminations: dict[TermName, TerminationTermConfig] = Field(default={})
    """Reasons for an episode to end, besides its length."""
    events: dict[TermName, EventConfig] = Field(default={})
    """Initial state and randomisation, in the order in which they happen."""
