"""Terrain: a field of tiles that differ in kind and difficulty, as one height field."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roboyard.config.grounds import TerrainConfig
from roboyard.sim.settings import Vector

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Terrain:
    """Heights on a grid, and where the tiles are."""

    config: TerrainConfig
    """What it was made from."""
    heights: Floats
    """Heights [m], shape (along x, along y)."""
    corner: tuple[float, float]
    """Where the first height stands [m]."""

    def height_at(self, x: float, y: float) -> float:
        """Return the height at a place [m]; beyond the edge, that of the edge."""
        rows, columns = self.heights.shape
        step = self.config.resolution
        u = min(max((x - self.corner[0]) / step, 0.0), rows - 1.0)
        v = min(max((y - self.corner[1]) / step, 0.0), columns - 1.0)
        if math.isnan(u + v):  # the physics broke down
            return 0.0
        i, j = min(int(u), rows - 2), min(int(v), columns - 2)
        (a, b), (c, d) = self.heights[i : i + 2, j : j + 2].tolist()
        u, v = u - i, v - j
        return float((1 - u) * ((1 - v) * a + v * b) + u * ((1 - v) * c + v * d))

    def tile(self, level: int, column: int) -> Vector:
        """Return the middle of a tile's platform [m]."""
        x, y = level * self.config.tile_size, column * self.config.tile_size
        return x, y, self.height_at(x, y)


def make_terrain(config: TerrainConfig) -> Terrain:
    """Return the terrain that ``config`` describes; the same for the same config."""
    step, size = config.resolution, config.tile_size
    edge = round(config.border / step)
    per_tile = round(size / step)
    rows, columns = config.levels, len(config.kinds)
    heights: Floats = np.zeros((rows * per_tile + 2 * edge + 1, columns * per_tile + 2 * edge + 1))
    generator = np.random.default_rng(config.seed)
    along = (np.arange(per_tile + 1) - per_tile / 2) * step
    radius = np.maximum(np.abs(along)[:, None], np.abs(along)[None, :])
    for row in range(rows):
        difficulty = row / (rows - 1) if rows > 1 else 1.0
        for column, kind in enumerate(config.kinds):
            i, j = edge + row * per_tile, edge + column * per_tile
            tile = _KINDS[kind](config, radius, difficulty, generator)
            heights[i : i + per_tile + 1, j : j + per_tile + 1] = tile
    # A tile is a whole number of cells, which need not be its exact size.
    offset = -edge * step - size / 2
    return Terrain(config, heights, (offset, offset))


def _flat(c: TerrainConfig, radius: Floats, level: float, generator: np.random.Generator) -> Floats:
    del c, level, generator  # Unused.
    return np.zeros_like(radius)


def _rough(
    c: TerrainConfig, radius: Floats, level: float, generator: np.random.Generator
) -> Floats:
    bumps = generator.uniform(-1.0, 1.0, radius.shape) * c.roughness * level
    return np.where(radius <= c.platform / 2, 0.0, bumps)


def _slope(c: TerrainConfig, radius: Floats, level: float, _: np.random.Generator) -> Floats:
    run = radius.max() - np.maximum(radius, c.platform / 2)
    heights: Floats = run * c.slope * level
    return heights


def _stairs(c: TerrainConfig, radius: Floats, level: float, _: np.random.Generator) -> Floats:
    run = radius.max() - np.maximum(radius, c.platform / 2)
    # Rounding errors must not move a stair by one cell.
    heights: Floats = np.floor(run / c.stair_depth + 1e-6) * c.stair_height * level
    return heights


def _upside_down(make: Callable[..., Floats]) -> Callable[..., Floats]:
    return lambda *args: -make(*args)


_KINDS: dict[str, Callable[..., Floats]] = {
    "flat": _flat,
    "rough": _rough,
    "slope_down": _slope,
    "slope_up": _upside_down(_slope),
    "stairs_down": _stairs,
    "stairs_up": _upside_down(_stairs),
}
"""Kinds of tiles. Seen from the platform in the middle, a hill goes down and a pit goes up; both
end at height 0, so that tiles meet."""
