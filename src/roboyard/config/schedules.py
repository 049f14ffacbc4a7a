"""Schedules: hyperparameters that change over a run, as typed records.

Progress ``t`` runs from 0 at the first step to 1 at ``train.total_steps``. During the first
``warmup`` fraction the value rises linearly from 0 to ``start``; the shape fills the rest.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from roboyard.config.base import Record


class ScheduleBase(Record):
    """What every schedule has."""

    start: PositiveFloat
    """Value after warm-up."""
    warmup: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Fraction of the run over which the value rises linearly from 0 to ``start``."""


class ConstantSchedule(ScheduleBase):
    """``start`` throughout."""

    type: Literal["constant"]


class LinearSchedule(ScheduleBase):
    """A straight line from ``start`` to ``end``."""

    type: Literal["linear"]
    end: NonNegativeFloat = 0.0
    """Value at the end of the run."""


class CosineSchedule(ScheduleBase):
    """Half a cosine wave from ``start`` to ``end`` (Loshchilov & Hutter 2017, eq. 5)."""

    type: Literal["cosine"]
    end: NonNegativeFloat = 0.0
    """Value at the end of the run."""


class ExponentialSchedule(ScheduleBase):
    """Geometric decay from ``start`` to ``end``."""

    type: Literal["exponential"]
    end: PositiveFloat
    """Value at the end of the run."""


Schedule = Annotated[
    ConstantSchedule | LinearSchedule | CosineSchedule | ExponentialSchedule,
    Field(discriminator="type"),
]
"""Any schedule record."""

Scheduled = PositiveFloat | Schedule
"""A positive number, or a schedule of it."""
