"""Damage to a run's copy is real, repeatable, and never to its lease."""

from __future__ import annotations

import random
from pathlib import Path

from roboyard.testing.chaos.damage import damage_some


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_said_to_be_damaged_is_damaged_and_nothing_else(tmp_path: Path) -> None:
    whole = {f"checkpoints/{n:012d}/part": bytes(range(50)) for n in range(5)}
    whole["lease.json"] = b"{}"
    for seed in range(30):
        folders = [tmp_path / f"{seed}-{again}" for again in range(2)]
        for folder in folders:
            for name, data in whole.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)
            damaged = damage_some(folder, random.Random(seed))
            found = content(folder)
            differing = {name for name in whole if found.get(name) != whole[name]}
            assert differing == {path.relative_to(folder).as_posix() for path in damaged}
            assert 1 <= len(differing) <= 3 and "lease.json" not in differing
        assert content(folders[0]) == content(folders[1])
