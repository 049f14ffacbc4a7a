"""Records that describe what a robot stands on."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    FiniteFloat,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    model_validator,
)

from roboyard.config.base import Record

TerrainKind = Literal["flat", "rough", "slope_up", "slope_down", "stairs_up", "stairs_down"]
"""What a tile looks like, seen from its middle."""


class TerrainConfig(Record):
    """A field of square tiles: a column for each kind, a row for each level of difficulty.

    Difficulty runs from 0 in the first row to 1 in the last; heights and slopes grow with it in
    proportion. Every tile has a flat platform in its middle, where robots start. Rows follow each
    other along x, columns along y; the first tile's middle is the origin.
    """

    kinds: tuple[TerrainKind, ...] = Field(default=("flat",), min_length=1, max_length=40)
    """Kinds of the columns; one that stands several times is more frequent."""
    levels: Annotated[int, Field(ge=1, le=50)] = 5
    """Number of rows."""
    tile_size: PositiveFloat = 8.0
    """Length of a tile's edge [m]."""
    resolution: PositiveFloat = 0.1
    """Distance between neighbouring heights [m]."""
    border: NonNegativeFloat = 4.0
    """Width of the flat border around all tiles [m]."""
    platform: NonNegativeFloat = 1.6
    """Length of a platform's edge [m]."""
    roughness: NonNegativeFloat = 0.1
    """Highest bump of ``rough`` at difficulty 1, above and below 0 [m]."""
    slope: NonNegativeFloat = 0.4
    """Rise over run of slopes at difficulty 1."""
    stair_height: NonNegativeFloat = 0.2
    """Height of a stair at difficulty 1 [m]."""
    stair_depth: PositiveFloat = 0.4
    """Depth of a stair [m]."""
    seed: NonNegativeInt = 0
    """What the bumps are drawn from; the same in every copy of the environment."""

    @model_validator(mode="after")
    def _affordable(self) -> Self:
        if self.platform >= self.tile_size:
            raise ValueError(
                f"platform {self.platform} is not smaller than tile_size {self.tile_size}"
            )
        cells = self.tile_size / self.resolution
        if cells < 4:
            raise ValueError(
                f"resolution {self.resolution} is too coarse for tiles of {self.tile_size} m"
            )
        edge = 2 * self.border / self.resolution
        total = (cells * self.levels + edge) * (cells * len(self.kinds) + edge)
        if total > 4e6:
            raise ValueError(
                f"this terrain has {total:.0f} heights, at most 4000000 are allowed; use a coarser "
                "resolution, or fewer or smaller tiles"
            )
        return self


class GroundConfig(Record):
    """What the robot stands on."""

    type: Literal["none", "plane", "stadium", "terrain"] = "plane"
    """Nothing; a plane; the plane of PyBullet's locomotion environments; or ``terrain``."""
    terrain: TerrainConfig = TerrainConfig()
    """The tiles, for ``type: terrain``."""
    height: FiniteFloat = 0.0
    """Height of the plane, such as that of the floor below a table [m]; for ``plane`` only."""
    friction: NonNegativeFloat | None = None
    """Friction coefficient; by default the description's."""
    restitution: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    """Bounciness, 0 to 1; by default the description's."""

    @model_validator(mode="after")
    def _height_fits(self) -> Self:
        if self.height and self.type != "plane":
            raise ValueError(f"type '{self.type}' takes no height; 'plane' does")
        return self
