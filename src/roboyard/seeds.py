"""Independent seeds for the parts of a run, derived from its one seed."""

from __future__ import annotations

import zlib

import numpy as np


def derive_seeds(seed: int, stream: str, count: int) -> list[int]:
    """Return ``count`` seeds for one named part of a run.

    Different streams, and the same stream of runs with neighbouring seeds, do not overlap,
    which ``seed + i`` would not give. The first ``n`` seeds do not depend on ``count``.

    Args:
        seed: The run's seed, non-negative.
        stream: Name of the part, such as ``"envs"`` or ``"evaluation"``.
        count: How many seeds.

    Returns:
        Integers in [0, 2**31).
    """
    root = np.random.SeedSequence([seed, zlib.crc32(stream.encode())])
    return [int(child.generate_state(1)[0] >> 1) for child in root.spawn(count)]
