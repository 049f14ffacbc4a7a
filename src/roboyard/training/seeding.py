"""The random generators of the process: seeding, reading and putting them back."""

from __future__ import annotations

from roboyard.evaluation.generators import GeneratorStates, seeded
from roboyard.evaluation.generators import capture as capture_generators
from roboyard.evaluation.generators import preserved as preserved_generators
from roboyard.evaluation.generators import restore as restore_generators

__all__ = [
    "GeneratorStates",
    "capture_generators",
    "preserved_generators",
    "restore_generators",
    "seed_everything",
]


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch; environments and action spaces have their own."""
    seeded(seed)
