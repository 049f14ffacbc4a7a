"""Terrain: heights worked out by hand, and equal to what a ray meets in the engine."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from roboyard.config.grounds import TerrainConfig
from roboyard.sim import World
from roboyard.sim.terrain import make_terrain

KINDS = ("flat", "rough", "slope_up", "slope_down", "stairs_up", "stairs_down")
SIZE = 4.0


def config(**changes: object) -> TerrainConfig:
    settings = {"kinds": KINDS, "levels": 3, "tile_size": SIZE, "border": 1.0, "platform": 1.0}
    return TerrainConfig(**{**settings, **changes})


def test_a_hill_s_platform_is_as_high_as_its_slope_over_its_run() -> None:
    """From the tile's edge at 2 m to the platform's at 0.5 m: 1.5 m at 0.4, and half of that."""
    terrain = make_terrain(config(slope=0.4))
    hill = KINDS.index("slope_down")
    assert [terrain.tile(level, hill)[2] for level in range(3)] == pytest.approx([0, 0.3, 0.6])
    pit = KINDS.index("slope_up")
    assert terrain.tile(2, pit)[2] == pytest.approx(-0.6)
    x, y, _ = terrain.tile(2, hill)
    assert terrain.height_at(x + 1.0, y) == pytest.approx(0.4)
    assert terrain.height_at(x + 2.0, y) == pytest.approx(0.0)


def test_stairs_are_level_and_rise_by_their_height() -> None:
    terrain = make_terrain(config(stair_height=0.2, stair_depth=0.5))
    x, y, top = terrain.tile(2, KINDS.index("stairs_down"))
    assert top == pytest.approx(0.6)  # three stairs within 1.5 m
    assert terrain.height_at(x + 0.75, y) == pytest.approx(0.4)
    assert terrain.height_at(x + 1.25, y) == pytest.approx(0.2)
    assert terrain.height_at(x + 1.75, y) == pytest.approx(0.0)


def test_bumps_stay_within_their_height_and_leave_the_platform_flat() -> None:
    terrain = make_terrain(config(kinds=("rough",), levels=1, roughness=0.08))
    assert np.abs(terrain.heights).max() <= 0.08
    assert np.abs(terrain.heights).max() > 0.07
    assert terrain.height_at(0.3, -0.4) == 0.0


def test_difficulty_0_is_flat_and_so_is_the_border() -> None:
    terrain = make_terrain(config())
    for column in range(len(KINDS)):
        x, y, _ = terrain.tile(0, column)
        assert terrain.height_at(x + 1.3, y + 0.7) == 0.0
    assert terrain.height_at(-SIZE / 2 - 0.5, 0.0) == 0.0
    assert terrain.height_at(-1e6, 1e6) == 0.0
    assert terrain.height_at(float("nan"), 0.0) == 0.0


def test_the_seed_makes_the_bumps() -> None:
    first, again, other = (make_terrain(config(seed=seed)).heights for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_engine_has_the_same_heights() -> None:
    terrain = make_terrain(config())
    generator = np.random.default_rng(0)
    low, high = -SIZE / 2 - 0.9, np.array([3 * SIZE - 2 + 0.9, 6 * SIZE - 2 + 0.9])
    # On grid points: between them the engine has triangles, and we interpolate.
    places = np.round(generator.uniform(low, high, (300, 2)), 1)
    with World() as world:
        body = world.load_terrain(terrain)
        starts = np.column_stack([places + 1e-4, np.full(300, 5.0)])
        ends = np.column_stack([places + 1e-4, np.full(300, -5.0)])
        hits = world.cast_rays(starts, ends)
    expected = [terrain.height_at(x, y) for x, y in places + 1e-4]
    assert set(hits.bodies.tolist()) == {body}
    np.testing.assert_allclose(hits.positions[:, 2], expected, atol=2e-3)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"platform": 4.0}, "platform 4.0 is not smaller than tile_size 4.0"),
        ({"resolution": 2.0}, "too coarse"),
        ({"resolution": 0.001}, "at most 4000000 are allowed"),
        ({"kinds": ("lava",)}, "slope_up"),
        ({"levels": 0}, "greater than or equal to 1"),
    ],
)
def test_an_impossible_terrain_is_refused(changes: dict[str, object], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        config(**changes)
