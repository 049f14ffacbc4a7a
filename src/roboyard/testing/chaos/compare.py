"""Whether two runs ended the same, bit for bit."""

from __future__ import annotations

import json
from typing import NamedTuple

from roboyard.storage import open_store
from roboyard.storage.base import NotFoundError, Store
from roboyard.storage.mirror.run_layout import MANIFEST, checkpoints_among

_WEIGHTS = ("policy.safetensors", "tensors.safetensors", "optimizers.pt", "generators.json")
_OF_THE_CLOCK = ("time", "system/", "checkpoint/", "wall_s")
"""What tells the time begins so."""


class Outcome(NamedTuple):
    """How a run ended, without what depends on the clock."""

    weights: dict[str, object]
    """SHA-256 of weights, optimisers and generators."""
    metrics: list[dict[str, object]]
    evaluations: list[dict[str, object]]

    @classmethod
    def of(cls, uri: str) -> Outcome:
        """Read it from a run's folder or bucket.

        Raises:
            StorageError: The store cannot be read, or there is no checkpoint.
        """
        store = open_store(uri)
        return cls(
            _weights(store), _rows(store, "metrics.jsonl"), _rows(store, "evaluations.jsonl")
        )


def _weights(store: Store) -> dict[str, object]:
    newest = next(iter(checkpoints_among(info.key for info in store.list())), None)
    if newest is None:
        return {}
    manifest = json.loads(store.get(f"{newest}/{MANIFEST}").data)
    files = manifest["files"]
    parts = {name: files[name]["sha256"] for name in _WEIGHTS if name in files}
    return {"step": manifest["step"], **parts}


def _rows(store: Store, key: str) -> list[dict[str, object]]:
    try:
        lines = store.get(key).data.decode().splitlines()
    except NotFoundError:
        return []
    return [
        {name: value for name, value in row.items() if not name.startswith(_OF_THE_CLOCK)}
        for row in map(json.loads, lines)
    ]
