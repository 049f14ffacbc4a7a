"""Schedules: hyperparameters that change over a run, as typed records.

Progress ``t`` runs from 0 at the first step to 1 at ``train.total_steps``. During the first
``warmup`` fraction the value rises linearly from 0 to ``start``; the shape fills the rest.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, Tag

from roboyard.config.base import Record, choice


class ScheduleBase(Record):
    """What every schedule has."""

    start: PositiveFloat
    """Value after warm-up."""
    warmup: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Fraction of the run over which the value rises linearly from 0 to ``start``."""


class ConstantSchedule(ScheduleBase):
    """``start`` throughout."""

    type: Literal["constant"]
    """Shape of the schedule."""


class LinearSchedule(ScheduleBase):
    """A straight line from ``start`` to ``end``."""

    type: Literal["linear"]
    """Shape of the schedule."""
    end: NonNegativeFloat = 0.0
    """Value at the end of the run."""


class CosineSchedule(ScheduleBase):
    """Half a cosine wave from ``start`` to ``end`` (Loshchilov & Hutter 2017, eq. 5)."""

    type: Literal["cosine"]
    """Shape of the schedule."""
    end: NonNegativeFloat = 0.0
    """Value at the end of the run."""


class ExponentialSchedule(ScheduleBase):
    """Geometric decay from ``start`` to ``end``."""

    type: Literal["exponential"]
    """Shape of the schedule."""
    end: PositiveFloat
    """Value at the end of the run."""


Schedule = ConstantSchedule | LinearSchedule | CosineSchedule | ExponentialSchedule
"""Any schedule record."""

SCHEDULE_TYPES = ("constant", "linear", "cosine", "exponential")


def _tag(value: object) -> str | None:
    if isinstance(value, dict):
        return f"<{value.get('type')}>"
    if isinstance(value, ScheduleBase):
        return f"<{getattr(value, 'type', None)}>"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "<number>" if is_number else None


Scheduled = Annotated[
    Annotated[PositiveFloat, Tag("<number>")]
    | Annotated[ConstantSchedule, Tag("<constant>")]
    | Annotated[LinearSchedule, Tag("<linear>")]
    | Annotated[CosineSchedule, Tag("<cosine>")]
    | Annotated[ExponentialSchedule, Tag("<exponential>")],
    choice(
        "schedule",
        _tag,
        SCHEDULE_TYPES,
        key="type",
        expected="a number or a schedule such as {type: linear, start: 0.001}",
    ),
]
"""A positive number, or a schedule of it."""
