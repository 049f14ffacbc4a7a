"""Casting rays, in batches that the engine takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roboyard.sim.pybullet.engine import pybullet
from roboyard.sim.rows import Floats, RayHits

_MAX_RAYS = 16_000  # the engine refuses batches of 16 384 and more


def cast_rays(client: int, starts: Floats, ends: Floats) -> RayHits:
    """Cast rays from ``starts`` to ``ends`` [m], both of shape (rays, 3)."""
    starts = np.asarray(starts, dtype=np.float64).reshape(-1, 3)
    ends = np.asarray(ends, dtype=np.float64).reshape(-1, 3)
    rows: list[tuple[int, int, float, Sequence[float], Sequence[float]]] = []
    for first in range(0, len(starts), _MAX_RAYS):
        part = slice(first, first + _MAX_RAYS)
        rows += pybullet.rayTestBatch(
            starts[part].tolist(), ends[part].tolist(), physicsClientId=client
        )
    return RayHits(
        bodies=np.array([row[0] for row in rows], dtype=np.int64),
        links=np.array([row[1] for row in rows], dtype=np.int64),
        fractions=np.array([row[2] for row in rows], dtype=np.float64),
        positions=np.array([row[3] for row in rows], dtype=np.float64).reshape(-1, 3),
        normals=np.array([row[4] for row in rows], dtype=np.float64).reshape(-1, 3),
    )
