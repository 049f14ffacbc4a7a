"""A run, fetched from a store: what another machine needs to look at it or to continue it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

from roboyard.errors import StorageError
from roboyard.storage import atomic
from roboyard.storage.base import DamagedError, NotFoundError, ObjectInfo, Store, join_key
from roboyard.storage.mirror.run_layout import (
    MANIFEST,
    STATUS,
    PartFacts,
    checkpoint_of,
    checkpoints_among,
    file_fault,
    first_fault,
    is_private,
    is_segment,
    parse_manifest,
    step_of,
)

_log = logging.getLogger(__name__)

Checkpoints = Literal["latest", "all", "none"]
"""Which checkpoints to fetch."""


class PullReport(NamedTuple):
    """What was fetched."""

    files: int
    """Files that were written."""
    bytes: int
    """Their length."""
    checkpoint: int | None
    """Step of the newest checkpoint that is now in the folder."""
    problems: tuple[str, ...]
    """Checkpoints that could not be used, and why."""


def pull(
    store: Store, run: str, to: Path, *, checkpoints: Checkpoints = "latest", threads: int = 4
) -> PullReport:
    """Fetch a run into a folder; what is there already and equal is not fetched again.

    Checkpoints are verified against their manifests and appear whole or not at all. A damaged
    one is skipped with a warning, and the next older one taken instead.

    Args:
        store: Where from.
        run: The run's folder in the store; ``""`` if the store's URI is the run's.
        to: The run directory to fill.
        checkpoints: Which ones to fetch.
        threads: How many files travel at the same time.

    Raises:
        NotFoundError: There is no such run.
        StorageError: The store or the disk fails (never taken for a damaged checkpoint), or
            there are checkpoints but none is intact.
    """
    puller = _Puller(store, run, to, threads)
    return puller.run(checkpoints)


def pull_newer(store: Store, to: Path, oldest: int) -> PullReport:
    """Fetch a run if the store has an intact checkpoint that is new enough, else nothing.

    Args:
        store: The run's own store.
        to: The run directory to fill.
        oldest: The least step that is new enough.

    Raises:
        StorageError: The store or the disk fails.
    """
    puller = _Puller(store, "", to, threads=4)
    return puller.run("latest", oldest)


class _Puller:
    def __init__(self, store: Store, run: str, to: Path, threads: int) -> None:
        self._store = store
        self._run = run
        self._to = to
        self._threads = threads
        self._files = 0
        self._bytes = 0
        self._problems: list[str] = []

    def run(self, wanted: Checkpoints, oldest: int = 0) -> PullReport:
        skip = len(self._run) + 1 if self._run else 0
        remote = {info.key[skip:]: info for info in self._store.list(self._run)}
        if not remote and not oldest:
            raise NotFoundError(
                f"'{join_key(self._store.uri, self._run)}' holds no run. "
                f"'roboyard runs list {self._store.uri}' shows what there is."
            )
        # Checkpoints first: a writer stores the metrics before the checkpoint that needs them,
        # so those fetched afterwards are new enough.
        step = None if wanted == "none" else self._fetch_checkpoints(list(remote), wanted, oldest)
        if step is None and oldest:
            return PullReport(0, 0, None, tuple(self._problems))
        ordinary = [
            key
            for key in remote
            if checkpoint_of(key) is None and not is_private(key) and not is_segment(key)
        ]
        self._fetch_files([key for key in ordinary if key != STATUS], remote)
        self._fetch_files([key for key in ordinary if key == STATUS], remote)
        return PullReport(self._files, self._bytes, step, tuple(self._problems))

    def _fetch_checkpoints(
        self, keys: list[str], wanted: Checkpoints, oldest: int = 0
    ) -> int | None:
        found = [each for each in checkpoints_among(keys) if step_of(each) >= oldest]
        good = []
        for checkpoint in found:
            try:
                self._fetch_checkpoint(checkpoint)
            except _UnusableError as error:
                self._problems.append(str(error))
                _log.warning("%s; trying an older checkpoint", error)
                continue
            good.append(step_of(checkpoint))
            if wanted == "latest":
                break
        if found and not good and not oldest:
            raise StorageError(
                f"none of the {len(found)} checkpoints of "
                f"'{join_key(self._store.uri, self._run)}' can be used: "
                f"{'; '.join(self._problems)}. Nothing was changed; start a new run, or use its "
                "policy/best.zip."
            )
        return max(good, default=None)

    def _fetch_checkpoint(self, checkpoint: str) -> None:
        manifest, files = self._manifest(checkpoint)
        target = self._to / checkpoint
        same = (target / MANIFEST).is_file() and (target / MANIFEST).read_bytes() == manifest
        if same and not first_fault(self._to, files):
            return
        staging = target.with_name(f".{target.name}.tmp")
        shutil.rmtree(staging, ignore_errors=True)
        try:
            self._fetch_parts(checkpoint, files, staging)
            atomic.write_bytes(staging / MANIFEST, manifest)
            shutil.rmtree(target, ignore_errors=True)
            staging.rename(target)
            atomic.fsync_folder(target.parent)
        except OSError as error:
            raise atomic.cannot("write", target, error) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _manifest(self, checkpoint: str) -> tuple[bytes, Mapping[str, PartFacts]]:
        try:
            data = self._store.get(self._full(f"{checkpoint}/{MANIFEST}")).data
            return data, parse_manifest(data, checkpoint)
        except (DamagedError, NotFoundError) as error:
            raise _unusable(checkpoint, error) from error

    def _fetch_parts(self, checkpoint: str, files: Mapping[str, PartFacts], staging: Path) -> None:
        def fetch(key: str) -> int:
            inside = checkpoint_of(key) == checkpoint
            path = staging / key.removeprefix(f"{checkpoint}/") if inside else self._to / key
            if not (path.is_file() and atomic.sha256(path) == files[key].sha256):
                self._store.download(self._full(key), path)
            fault = file_fault(path, files[key])
            if fault:
                raise DamagedError(f"{key} {fault}")
            return files[key].size

        with ThreadPoolExecutor(self._threads, thread_name_prefix="pull") as pool:
            try:
                sizes = list(pool.map(fetch, files))
            except (DamagedError, NotFoundError) as error:
                pool.shutdown(cancel_futures=True)
                raise _unusable(checkpoint, error) from error
        self._files += len(sizes) + 1
        self._bytes += sum(sizes)

    def _fetch_files(self, keys: list[str], remote: Mapping[str, ObjectInfo]) -> None:
        def fetch(key: str) -> int:
            path = self._to / key
            if self._is_same(key, path, remote[key]):
                return -1
            try:
                return self._store.download(self._full(key), path).size
            except NotFoundError:  # removed since it was listed
                return -1
            except DamagedError as error:  # what is here, if anything, is better
                self._problems.append(str(error))
                _log.warning("%s", error)
                return -1

        with ThreadPoolExecutor(self._threads, thread_name_prefix="pull") as pool:
            sizes = [size for size in pool.map(fetch, keys) if size >= 0]
        self._files += len(sizes)
        self._bytes += sum(sizes)

    def _is_same(self, key: str, path: Path, remote: ObjectInfo) -> bool:
        if not path.is_file() or path.stat().st_size != remote.size:
            return False
        stored = self._store.stat(self._full(key))
        return stored is not None and stored.sha256 == atomic.sha256(path)

    def _full(self, key: str) -> str:
        return join_key(self._run, key)


class _UnusableError(StorageError):
    """A checkpoint cannot be used."""


def _unusable(checkpoint: str, error: StorageError) -> _UnusableError:
    return _UnusableError(f"{checkpoint}: {error}")
