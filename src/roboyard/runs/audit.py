"""Checking what a store holds of a run, and removing what nobody needs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from roboyard.errors import StorageError
from roboyard.runs.index import find_run, has_remains
from roboyard.storage import atomic
from roboyard.storage.base import DamagedError, NotFoundError, ObjectInfo, Store, join_key
from roboyard.storage.mirror.run_layout import (
    MANIFEST,
    PartFacts,
    checkpoint_of,
    checkpoints_among,
    content_fault,
    is_manifest,
    is_segment,
    parse_manifest,
)


class Problem(NamedTuple):
    """Something that is wrong with a run's files."""

    key: str
    """Which file or folder, within the run."""
    text: str
    """What is wrong with it."""


class Audit(NamedTuple):
    """What a check found."""

    files: int
    """Files that were read."""
    checkpoints: tuple[str, ...]
    """Intact checkpoints, the newest first."""
    problems: tuple[Problem, ...]
    """Everything that is wrong; empty is good."""
    remains: tuple[str, ...] = ()
    """Folders of checkpoints that were never finished: nobody reads them, and nothing is wrong."""


class Pruning(NamedTuple):
    """What was removed, or would be."""

    folders: tuple[str, ...]
    """Checkpoint folders within the run."""
    bytes: int
    """Their length."""


def verify_run(store: Store, run: str = "") -> Audit:
    """Read every file of a run and compare it with what is known about it.

    Checkpoint parts are compared with their manifests, objects with the checksums that the
    store recorded, bundles with their own.

    Raises:
        NotFoundError: There is no such run.
        StorageError: The store cannot be read.
    """
    find_run(store, run)
    remote = _files(store, run)
    problems: list[Problem] = []
    facts: dict[str, PartFacts] = {}
    listed: dict[str, set[str]] = {}
    for folder in checkpoints_among(remote):
        key = f"{folder}/{MANIFEST}"
        try:
            parts = parse_manifest(store.get(join_key(run, key)).data, folder)
        except (DamagedError, NotFoundError) as error:
            problems.append(Problem(key, str(error)))
            continue
        facts |= parts
        listed[folder] = set(parts)
    problems += [Problem(key, "is missing") for key in sorted(set(facts) - set(remote))]
    for key in remote:
        fault = _check(store, join_key(run, key), facts.get(key))
        if fault:
            problems.append(Problem(key, fault))
    bad = {problem.key for problem in problems}
    intact = tuple(folder for folder, keys in listed.items() if not keys & bad)
    remains = tuple(sorted(has_remains(remote)))
    return Audit(len(remote), intact, tuple(problems), remains)


def prune_run(store: Store, run: str = "", *, keep: int = 1, dry_run: bool = False) -> Pruning:
    """Remove a run's older checkpoints and what is left of unfinished ones.

    Args:
        store: Where the run is.
        run: Its folder.
        keep: How many of the newest complete checkpoints stay.
        dry_run: Only say what would be removed.

    Raises:
        NotFoundError: There is no such run.
        StorageError: It is being driven right now, or the store refuses.
    """
    summary = find_run(store, run)
    if summary.is_alive:
        raise StorageError(
            f"'{join_key(store.uri, run)}' is being driven by {summary.driver or 'a process'}; "
            "its checkpoints are rotated by the run itself. Prune it when it has stopped."
        )
    if keep < 0:
        raise StorageError(f"keep={keep}: give 0 or more checkpoints to keep.")
    remote = _files(store, run)
    doomed = {*checkpoints_among(remote)[keep:], *has_remains(remote)}
    needed = _segments_of(store, run, set(checkpoints_among(remote)) - doomed)
    keys = [
        key
        for key in remote
        if checkpoint_of(key) in doomed
        or (needed is not None and is_segment(key) and key not in needed)
    ]
    if not dry_run:
        # Without its manifest a checkpoint no longer exists, so a reader never sees half of it.
        for key in sorted(keys, key=is_manifest, reverse=True):
            store.delete(join_key(run, key))
    return Pruning(tuple(sorted(doomed)), sum(remote[key].size for key in keys))


def _segments_of(store: Store, run: str, folders: Iterable[str]) -> set[str] | None:
    """Return the shared files that checkpoints need; None where one does not say."""
    try:
        return {
            key
            for folder in folders
            for key in parse_manifest(store.get(join_key(run, f"{folder}/{MANIFEST}")).data, folder)
            if is_segment(key)
        }
    except (DamagedError, NotFoundError):
        return None


def _files(store: Store, run: str) -> dict[str, ObjectInfo]:
    skip = len(run) + 1 if run else 0
    return {info.key[skip:]: info for info in store.list(run)}


def _check(store: Store, key: str, facts: PartFacts | None) -> str:
    """Return what is wrong with an object, or an empty string."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, key.rpartition("/")[2])
        try:
            size = store.download(key, path).size
        except (DamagedError, NotFoundError) as error:
            return str(error)
        if facts is not None and size != facts.size:
            return f"has {size} bytes instead of {facts.size}"
        if facts is not None and atomic.sha256(path) != facts.sha256:
            return "was altered: its SHA-256 is not the manifest's"
        return "" if facts is not None else content_fault(path)
