"""Members of a population: which run each has now, and copies of others with perturbed values.

A member's line of runs is in ``population/<member>.jsonl`` of the search's folder: the last line
is the present run, with the values that are in force. What is not in that file did not happen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from pydantic import JsonValue

from roboyard.config.load import load, to_yaml
from roboyard.config.schema import ExperimentConfig
from roboyard.errors import CheckpointError
from roboyard.storage.base import NotFoundError, Store, join_key
from roboyard.storage.mirror.run_layout import MANIFEST, parse_manifest
from roboyard.tuning.space import to_overrides

_PATIENCE_S = 120.0
_RECORDS = ("evaluations.jsonl", "metrics.jsonl", "provenance.json")


class Member(NamedTuple):
    """What a member is now."""

    run_id: str
    values: dict[str, JsonValue]
    """Those in force."""
    donor: str = ""
    """The run that it was copied from, if any."""
    step: int = 0
    """The step at which it was."""


def member_of(store: Store, number: int) -> Member | None:
    """Return what a member is now; None if it has not begun."""
    lines = _history(store, number)
    if not lines:
        return None
    last = json.loads(lines[-1])
    return Member(last["run_id"], last["values"], last["donor"], int(last["step"]))


def record(store: Store, number: int, member: Member) -> None:
    """Add what a member is from now on."""
    lines = [*_history(store, number), json.dumps(member._asdict())]
    store.put(_key(number), ("\n".join(lines) + "\n").encode())


def copy_run(
    store: Store, donor: str, step: int, run_id: str, values: Mapping[str, JsonValue]
) -> ExperimentConfig:
    """Make a run that continues exactly from another one's checkpoint, with other values.

    Its config comes last: before, there is no run, and a copy that was interrupted is made again.

    Args:
        store: The search's folder.
        donor: The run to copy.
        step: Step of the checkpoint; it is waited for a moment, because it may be on its way.
        run_id: The new run.
        values: Dotted keys of the config and their new values.

    Raises:
        CheckpointError: The checkpoint does not come.
    """
    folder = f"checkpoints/{step:012d}"
    manifest = _awaited(store, join_key(donor, folder, MANIFEST))
    names = [*parse_manifest(manifest, folder), f"{folder}/{MANIFEST}"]
    records = [name for name in _RECORDS if store.stat(join_key(donor, name))]
    with TemporaryDirectory() as temporary:
        for index, name in enumerate([*records, *names]):
            path = Path(temporary, str(index))
            store.download(join_key(donor, name), path)
            store.put(join_key(run_id, name), path)
        path = Path(temporary, "config.yaml")
        store.download(join_key(donor, "config.yaml"), path)
        config = load(path, to_overrides(values))
    store.put(join_key(run_id, "config.yaml"), to_yaml(config).encode())
    return config


def _awaited(store: Store, key: str) -> bytes:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return store.get(key).data
        except NotFoundError as error:
            if time.monotonic() > deadline:
                raise CheckpointError(f"'{key}' is not in '{store.uri}'.") from error
        time.sleep(0.2)


def _key(number: int) -> str:
    return f"population/{number:04d}.jsonl"


def _history(store: Store, number: int) -> list[str]:
    try:
        return store.get(_key(number)).data.decode().splitlines()
    except NotFoundError:
        return []
