"""The runs of a store: which there are, and how they really are."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from roboyard import json_text
from roboyard.errors import StorageError
from roboyard.storage.base import Blob, NotFoundError, ObjectInfo, Store, join_key
from roboyard.storage.leases.record import LEASE_FILE, Observed, observe
from roboyard.storage.mirror.run_layout import STATUS, checkpoint_of, checkpoints_among, step_of

_CONFIG = "config.yaml"
_SILENCE_S = 300.0
"""A run on another machine that wrote nothing for so long, and has no lease, counts as lost."""


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """How a run is."""

    run: str
    """Its folder in the store; ``""`` if the store's URI is the run's."""
    state: str
    """What ``status.json`` says, or ``lost`` for a run that says ``running`` and is not."""
    step: int
    """Control steps done."""
    reason: str
    """Why it is in this state."""
    checkpoints: tuple[int, ...]
    """Steps of its complete checkpoints, the newest first."""
    age_s: float
    """Time since the last sign of life [s]."""
    bytes: int
    """Length of all its files."""
    driver: str
    """The process that drives it or drove it last."""
    epoch: int = 0
    """How often its lease has changed hands; 0 if it never had one."""

    @property
    def is_alive(self) -> bool:
        """Whether a process is driving it now."""
        return self.state == "running"

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return dataclasses.asdict(self)


def find_runs(store: Store, folder: str = "") -> list[RunSummary]:
    """Return the runs below a folder of a store, ordered by name.

    Raises:
        StorageError: The store cannot be read.
    """
    files: dict[str, list[ObjectInfo]] = {}
    objects = list(store.list(folder))
    for info in objects:
        parent, _, name = info.key.rpartition("/")
        if name in (STATUS, _CONFIG):
            files.setdefault(parent, [])
    for info in objects:
        owner = _owner(info.key, files)
        if owner is not None:
            files[owner].append(info)
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda run: _summary(store, run, files[run]), sorted(files)))


def find_run(store: Store, run: str = "") -> RunSummary:
    """Return how one run is.

    Raises:
        NotFoundError: There is no such run.
    """
    infos = list(store.list(run))
    names = {info.key for info in infos}
    if not names & {join_key(run, STATUS), join_key(run, _CONFIG)}:
        raise NotFoundError(
            f"'{join_key(store.uri, run)}' is no run: it holds neither {_CONFIG} nor {STATUS}. "
            f"'roboyard runs list {store.uri.rpartition('/')[0]}' shows what there is."
        )
    return _summary(store, run, infos)


def _owner(key: str, runs: Mapping[str, object]) -> str | None:
    """Return the outermost run that a file belongs to."""
    parts = key.split("/")
    return next((run for n in range(len(parts)) if (run := "/".join(parts[:n])) in runs), None)


def _summary(store: Store, run: str, infos: Iterable[ObjectInfo]) -> RunSummary:
    infos = list(infos)
    skip = len(run) + 1 if run else 0
    keys = [info.key[skip:] for info in infos]
    lease = observe(store, join_key(run, LEASE_FILE)) if LEASE_FILE in keys else None
    status, written = _status(store, run) if STATUS in keys else ({}, None)
    ages = [info.age_s for info in (written, lease and lease.info) if info]
    state, reason = str(status.get("state", "queued")), str(status.get("reason", ""))
    if state == "running" and (why := _lost_because(status, lease, min(ages, default=0.0))):
        state, reason = "lost", why
    driver = str(lease.record.holder) if lease else _driver(status)
    return RunSummary(
        run=run,
        state=state,
        step=int(status.get("step") or 0),
        reason=reason,
        checkpoints=tuple(step_of(folder) for folder in checkpoints_among(keys)),
        age_s=min(ages, default=0.0),
        bytes=sum(info.size for info in infos),
        driver=driver,
        epoch=lease.record.epoch if lease else 0,
    )


def _status(store: Store, run: str) -> tuple[Mapping[str, Any], ObjectInfo | None]:
    try:
        blob: Blob = store.get(join_key(run, STATUS))
        value = json_text.loads(blob.data)
        if isinstance(value, dict):
            return value, blob.info
        raise ValueError("it holds no object")
    except (StorageError, ValueError) as error:
        return {"state": "unknown", "reason": f"{STATUS} cannot be read: {error}"}, None


def _lost_because(status: Mapping[str, Any], lease: Observed | None, age_s: float) -> str:
    """Return why a run that says it is running is not, or an empty string."""
    if lease is not None:
        if not lease.is_free:
            return ""
        if lease.record.holder.is_dead():
            return f"{lease.record.holder} has ended; --resume continues it"
        return f"its driver gave no sign of life for {age_s:.0f} s; --resume continues it"
    pid = status.get("pid")
    if status.get("host") == socket.gethostname() and isinstance(pid, int) and pid > 0:
        return "" if _exists(pid) else f"process {pid} has ended; --resume continues it"
    return f"nothing was written for {age_s:.0f} s" if age_s > _SILENCE_S else ""


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _driver(status: Mapping[str, Any]) -> str:
    host, pid = status.get("host"), status.get("pid")
    return f"process {pid} on '{host}'" if host else ""


def has_remains(keys: Iterable[str]) -> set[str]:
    """Return folders of checkpoints whose manifest is missing: never finished, or damaged."""
    keys = list(keys)
    folders = {folder for key in keys if (folder := checkpoint_of(key))}
    return folders - set(checkpoints_among(keys))
