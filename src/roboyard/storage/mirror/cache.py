"""A run's folder on this machine, made fit to continue from: verified, and mended from the store.

A machine's own copy of a run may be newer than the store's: its last files had not been sent when
its process ended. It may also be damaged, and then nothing of it may replace what is good in the
store. So what is there is read and compared before it is used.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from roboyard import json_text
from roboyard.storage import atomic
from roboyard.storage.base import DamagedError, NotFoundError, ObjectInfo, Store
from roboyard.storage.mirror.pull import PullReport, pull, pull_newer
from roboyard.storage.mirror.run_layout import (
    MANIFEST,
    RECORDS,
    PartFacts,
    checkpoint_of,
    checkpoints_among,
    content_fault,
    first_fault,
    is_private,
    is_published,
    is_segment,
    parse_manifest,
    prefix_fault,
    step_of,
)

_LOG = logging.getLogger(__name__)


class Cached(NamedTuple):
    """A checkpoint of the folder whose files are what its manifest says."""

    folder: Path
    step: int
    manifest: bytes


def bring_up_to_date(store: Store, folder: Path) -> PullReport:
    """Have the newest intact checkpoint that exists anywhere, and what belongs to it, in a folder.

    Args:
        store: The run's own store.
        folder: The machine's copy; may be empty, older, newer or damaged.

    Raises:
        StorageError: The store or the disk fails, or there are checkpoints but none is intact.
    """
    cached = newest_intact(folder)
    remote = {info.key: info for info in store.list()}
    if cached is None:
        return pull(store, "", folder) if remote else PullReport(0, 0, None, ())
    # Of two checkpoints of one step the store's counts: others may have seen it.
    oldest = cached.step + (0 if _has_another(store, remote, cached) else 1)
    newer = pull_newer(store, folder, oldest)
    if newer.checkpoint is not None:
        return newer
    mended = _mend(store, folder, remote, cached.folder)
    return newer._replace(files=newer.files + mended)


def newest_intact(folder: Path) -> Cached | None:
    """Return the newest checkpoint of a folder that is as its manifest says; None without one."""
    keys = [path.relative_to(folder).as_posix() for path in folder.rglob(MANIFEST)]
    for checkpoint in checkpoints_among(keys):
        try:
            data = (folder / checkpoint / MANIFEST).read_bytes()
            files = parse_manifest(data, checkpoint)
        except (DamagedError, OSError) as error:
            _LOG.warning("this machine's copy of %s cannot be used: %s", checkpoint, error)
            continue
        fault = first_fault(folder, files)
        if not fault:
            return Cached(folder / checkpoint, step_of(checkpoint), data)
        _LOG.warning("this machine's copy of %s is damaged: %s.", checkpoint, fault)
    return None


def _has_another(store: Store, remote: Mapping[str, ObjectInfo], cached: Cached) -> bool:
    key = f"checkpoints/{cached.folder.name}/{MANIFEST}"
    try:
        return key in remote and store.get(key).data != cached.manifest
    except (DamagedError, NotFoundError):
        return False


def _mend(store: Store, folder: Path, remote: Mapping[str, ObjectInfo], checkpoint: Path) -> int:
    """Fetch what is missing or damaged in the folder and good in the store; return how many."""
    records = _records(checkpoint)
    mended = 0
    for key in remote:
        if checkpoint_of(key) or is_private(key) or is_published(key) or is_segment(key):
            continue
        path = folder / key
        fault = _fault(path, records.get(key))
        if fault and _replace(store, key, path, records.get(key)):
            _LOG.warning("'%s' %s; taken from '%s'.", path, fault, store.uri)
            mended += 1
    return mended


def _records(checkpoint: Path) -> dict[str, PartFacts]:
    try:
        raw = json_text.loads((checkpoint / RECORDS).read_bytes())
        return {str(key): PartFacts(int(size), str(sha)) for key, (size, sha) in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # written by an older version


def _fault(path: Path, record: PartFacts | None) -> str:
    if not path.is_file():
        return "is missing"
    return content_fault(path) if record is None else prefix_fault(path, record)


def _replace(store: Store, key: str, path: Path, record: PartFacts | None) -> bool:
    """Put the store's copy of a file in its place; return False if that is no better."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".", suffix=".tmp") as staging:
        fetched = Path(staging, path.name)
        try:
            store.download(key, fetched)
        except (DamagedError, NotFoundError) as error:
            _LOG.warning("%s", error)
            return False
        if _fault(fetched, record):
            return False
        fetched.replace(path)
        atomic.fsync_folder(path.parent)
    return True
