"""Settings of a world."""

from __future__ import annotations

import math
from dataclasses import dataclass

from roboyard.errors import ConfigError

Vector = tuple[float, float, float]
"""Three numbers; lengths in [m]."""

Quaternion = tuple[float, float, float, float]
"""Orientation as (x, y, z, w)."""


@dataclass(frozen=True)
class WorldConfig:
    """Settings of a physics world.

    Raises:
        ConfigError: A value is out of its range.
    """

    time_step: float = 1 / 240
    """Physics step [s]."""
    steps_per_call: int = 1
    """Physics steps that one ``World.step`` makes. Torques and forces that were set before it are
    held over all of them, and the engine is called only once."""
    gravity: Vector = (0.0, 0.0, -9.81)
    """Gravity [m/s^2]."""
    gui: bool = False
    """Open the engine's window."""
    solver_iterations: int = 50
    """Iterations of the constraint solver in each physics step."""
    contact_erp: float | None = None
    """Error reduction of contacts per step, in (0, 1]; the engine's default if None."""
    engine: str = "pybullet"
    """The physics engine, by its name in ``sim.engines``."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (math.isfinite(self.time_step) and self.time_step > 0):
            raise ConfigError(f"time_step is {self.time_step}; it must be greater than 0 [s].")
        for name in ("steps_per_call", "solver_iterations"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} is {value!r}; it must be a whole number of at least 1.")
        if len(self.gravity) != 3 or not all(math.isfinite(value) for value in self.gravity):
            raise ConfigError(f"gravity is {self.gravity}; it must be three finite numbers.")
        if self.contact_erp is not None and not 0 < self.contact_erp <= 1:
            raise ConfigError(f"contact_erp is {self.contact_erp}; it must be in (0, 1].")

    @property
    def call_period(self) -> float:
        """Simulated time of one ``World.step`` [s]."""
        return self.time_step * self.steps_per_call
