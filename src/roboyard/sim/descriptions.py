"""What is asked of an engine when it loads a robot, in words that any engine knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from roboyard.sim.model import RobotModel
from roboyard.sim.settings import Quaternion, Vector

SelfCollision = Literal["none", "all", "exclude_parent", "exclude_all_parents"]
"""Which links of a body touch each other."""

InertiaSource = Literal["file", "shapes"]
"""Where inertias come from: the file, or its masses and collision shapes."""

MJCF_SUFFIXES = (".xml", ".mjcf")
"""How names of MJCF files end; all others are taken for URDF."""


@dataclass(frozen=True)
class RobotDescription:
    """A robot to load: a model that was read from a file, or the file itself."""

    file: Path
    """URDF or MJCF file."""
    fixed_base: bool = False
    """Fix the base in the world (URDF only; a MJCF file says it itself)."""
    scale: float = 1.0
    """Factor on all lengths (URDF only)."""
    inertia: InertiaSource = "file"
    """Where inertias come from (URDF only)."""
    self_collision: SelfCollision = "none"
    """Which of the robot's links touch each other."""
    model: RobotModel | None = None
    """What is loaded, normalised; without it the engine reads the file itself."""

    @property
    def is_mjcf(self) -> bool:
        """Whether the file is MJCF, which may describe several bodies and says where they are."""
        return self.model is None and self.file.name.endswith(MJCF_SUFFIXES)


class Placement(NamedTuple):
    """Where the base of a body is put."""

    position: Vector = (0.0, 0.0, 0.0)
    """Position [m]."""
    orientation: Quaternion = (0.0, 0.0, 0.0, 1.0)
    """Orientation (x, y, z, w)."""
