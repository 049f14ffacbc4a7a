"""Records that describe things beside the robot, and goals that are about them."""

from __future__ import annotations

from collections.abc import Set
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from roboyard.config.base import Record
from roboyard.config.robots import Vector3
from roboyard.config.uses import FileName, Text

Share = Annotated[float, Field(ge=0.0, le=1.0)]

SIZES = {"box": 3, "sphere": 1, "cylinder": 2, "capsule": 2, "mesh": 0}
"""How many numbers the size of each shape has."""

_OF_LINKS = frozenset({"link"})
_OF_MESHES = frozenset({"file", "scale"})


class ObjectConfig(Record):
    """A thing beside the robot: a link of another body in the robot's file, or a shape."""

    link: Text | None = None
    """A link, in the robot's own file but of another body, that is the thing."""
    shape: Literal["box", "sphere", "cylinder", "capsule", "mesh"] | None = None
    """What it looks like; cylinders and capsules stand along z."""
    size: tuple[PositiveFloat, ...] = ()
    """Box: edges along x, y, z; sphere: radius; cylinder, capsule: radius and length [m]."""
    file: FileName | None = None
    """OBJ or STL file of a mesh, named like a robot's; the engine takes its convex hull."""
    scale: PositiveFloat = 1.0
    """Factor on a mesh's lengths."""
    mass: NonNegativeFloat = 0.0
    """Mass [kg]; 0 makes it immovable."""
    position: Vector3 = (0.0, 0.0, 0.0)
    """Where its middle is after loading [m]."""
    rotation: Vector3 = (0.0, 0.0, 0.0)
    """Roll, pitch and yaw after loading [rad]."""
    friction: NonNegativeFloat | None = None
    """Friction coefficient; by default the engine's, 0.5."""
    spinning_friction: NonNegativeFloat | None = None
    """Torsional friction around the contact normal [m]; by default the engine's, 0."""
    restitution: Share | None = None
    """Bounciness, 0 to 1; by default the engine's, 0."""
    color: tuple[Share, Share, Share, Share] = (0.2, 0.6, 0.9, 1.0)
    """Red, green, blue and opacity, each from 0 to 1."""
    collides: bool = True
    """Whether it touches anything; markers are only seen."""
    marks: Text | None = None
    """A command that is a point: the object stands there, only to be seen."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.link is None) == (self.shape is None):
            raise ValueError("give either link (of the robot's file) or shape, such as box")
        if self.link is not None:
            _refuse(self, type(self).model_fields.keys() - _OF_LINKS, "link")
            return self
        if self.shape != "mesh":
            _refuse(self, _OF_MESHES, f"shape {self.shape}")
        elif self.file is None:
            raise ValueError("shape mesh needs file, an OBJ or STL file")
        needed = SIZES[str(self.shape)]
        if len(self.size) != needed:
            raise ValueError(f"a {self.shape} needs {needed} sizes [m]; got {len(self.size)}")
        if self.marks is not None and self.mass:
            raise ValueError("what marks a command has no mass")
        return self

    @property
    def is_solid(self) -> bool:
        """Whether it touches other things."""
        return self.collides and self.marks is None


class GoalConfig(Record):
    """Makes a task goal-conditioned: the reward compares what was achieved with what is desired.

    The groups ``achieved_goal`` and ``desired_goal`` of the observation hold the two, so that
    hindsight experience replay (Andrychowicz et al. 2017) can put others in their place.
    """

    reward: Literal["sparse", "dense"] = "sparse"
    """``sparse``: -1 until the goal is achieved, then 0; ``dense``: minus the distance."""
    tolerance: PositiveFloat = 0.05
    """Distance at which the goal counts as achieved, in the goal's unit."""


def _refuse(record: Record, names: Set[str], what: str) -> None:
    """Refuse values other than the defaults, which a config that was written out holds."""
    fields = type(record).model_fields
    given = [name for name in sorted(names) if getattr(record, name) != fields[name].default]
    if given:
        raise ValueError(f"{what} takes no {', '.join(given)}")
