"""Tasks on a MuJoCo model as it stands: what is seen and rewarded is read from the engine."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat, PositiveInt

from roboyard.config.base import Record

Range = tuple[float | None, float | None]
"""Smallest and largest value; null where there is none."""

Field = Literal["qpos", "qvel", "cinert", "cvel", "qfrc_actuator", "cfrc_ext"]


class ObservedField(Record):
    """A field of the engine's data, flattened."""

    field: Field
    """Its name."""
    skip: int = 0
    """First rows that are left out."""
    clip: Range | None = None
    """Smallest and largest value."""


class Healthy(Record):
    """Bounds whose loss ends an episode."""

    height: Range | None = None
    """Of the vertical position [m]."""
    angle: Range | None = None
    """Of the third position [rad]."""
    state: Range | None = None
    """Of all positions but the first two and of all velocities."""
    height_row: int = 1
    """Row of the vertical position."""
    finite: bool = False
    """Whether positions and velocities must be finite; bounds of the height then belong to it."""


class NativeRewards(Record):
    """Weights of the reward's terms."""

    forward: float = 1.0
    """Of the velocity along x [m/s]."""
    forward_of: Literal["position", "body", "mass center"] = "position"
    """What moves forward: the first position, the first body or the centre of mass."""
    alive: float = 0.0
    """Of each step in which the robot is healthy."""
    control: float = 0.0
    """Cost of the sum of squared controls."""
    control_of: Literal["action", "ctrl"] = "action"
    """Whether the action's own precision counts or the engine's."""
    contact: float = 0.0
    """Cost of the sum of squared external forces."""
    contact_clip: Range | None = None
    """Bounds of each force."""
    contact_limit: float | None = None
    """Largest cost of contacts."""


class ResetNoise(Record):
    """How far resets are from the model's own state."""

    scale: PositiveFloat
    """Half width of the uniform noise of positions."""
    velocities: Literal["uniform", "normal"] = "uniform"
    """Distribution of the noise of velocities."""


class NativeTask(Record):
    """A task on a model as it stands."""

    description: str = ""
    """What is to be learnt, in one line."""
    model: str
    """MJCF file; ``gymnasium:NAME`` is one of Gymnasium's, ``package:MODULE/PATH`` any other."""
    frame_skip: PositiveInt = 5
    """Physics steps in a control step."""
    max_episode_steps: PositiveInt | None = 1000
    """Control steps after which an episode is cut."""
    observations: tuple[ObservedField, ...]
    """What is seen, in order."""
    rewards: NativeRewards = NativeRewards()
    """What is rewarded."""
    healthy: Healthy | None = None
    """What ends episodes."""
    reset: ResetNoise
    """Where episodes begin."""
