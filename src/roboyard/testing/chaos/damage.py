"""Damage to files: a byte flipped, the end cut off, or the whole file gone."""

from __future__ import annotations

import random
from pathlib import Path

from roboyard.storage.mirror.run_layout import is_private

_MOST = 3


def damage_some(folder: Path, generator: random.Random) -> list[Path]:
    """Damage up to three files of a run's folder; return which.

    Leases stay as they are: a damaged one stops everybody until a person has looked.

    Args:
        folder: The run.
        generator: Draws files and damages.
    """
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not is_private(path.relative_to(folder).as_posix())
    ]
    chosen = generator.sample(files, min(len(files), generator.randint(1, _MOST)))
    for path in chosen:
        generator.choice((_flip, _cut, _remove))(path, generator)
    return chosen


def _flip(path: Path, generator: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[generator.randrange(len(content))] ^= generator.randrange(1, 256)
        path.write_bytes(content)


def _cut(path: Path, generator: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: generator.randrange(len(content))] if content else b"")


def _remove(path: Path, generator: random.Random) -> None:
    del generator  # Nothing to draw.
    path.unlink()
