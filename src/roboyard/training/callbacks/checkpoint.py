"""Checkpoints at boundaries, and the status that tells about them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from roboyard.errors import StorageError
from roboyard.runs.directory import RunDirectory
from roboyard.storage.leases.lease import LeaseLostError
from roboyard.storage.mirror.run_layout import RECORDS
from roboyard.tracking import MetricWriter, RecordFile
from roboyard.training.callbacks.base import Boundary, RunCallback, StopRequest
from roboyard.training.checkpoints.manifest import FileFacts
from roboyard.training.checkpoints.parts.base import CheckpointPart, write_json
from roboyard.training.checkpoints.schedule import CheckpointSchedule
from roboyard.training.checkpoints.store import CheckpointStore, Marks, save_parts

_LOG = logging.getLogger(__name__)


class CheckpointCallback(RunCallback):
    """Writes a checkpoint whenever it is due, before the run stops, and at its end.

    It comes after every callback with a memory, so that what they did at a boundary is part of
    the boundary's checkpoint; only those that tell of the checkpoint come after it.
    """

    def __init__(
        self,
        store: CheckpointStore,
        schedule: CheckpointSchedule,
        stop: StopRequest,
        records: tuple[MetricWriter, ...] = (),
        best_step: Callable[[], int | None] = lambda: None,
    ) -> None:
        """Write to ``store``.

        Args:
            store: The run's checkpoints.
            schedule: Says when one is due.
            stop: Tells that the run is about to stop.
            records: Writers whose rows must be on the disk before a checkpoint is.
            best_step: Step of the best evaluation, whose checkpoint is to be written and kept.
        """
        super().__init__()
        self.parts: Mapping[str, CheckpointPart] = {}
        """What a checkpoint holds, set before training starts."""
        self.exact = True
        """Whether the run so far is the run that was never interrupted."""
        self.last_step: int | None = None
        """Step of the newest checkpoint."""
        self.cost_s = 0.0
        """How long the newest one took to write [s]."""
        self.written = time.monotonic()
        """When the newest one was written, or the start, on the monotonic clock [s]."""
        self._store = store
        self._schedule = schedule
        self._stop = stop
        self._records = records
        self._best_step = best_step

    @property
    def planned_s(self) -> float:
        """Time between checkpoints that is aimed at [s]; 0 where steps decide."""
        return self._schedule.planned_s(self.cost_s)

    def on_boundary(self, boundary: Boundary) -> None:
        """Write a checkpoint if one is due.

        Raises:
            StorageError: It cannot be written; the older ones stay as they are.
        """
        age_s = time.monotonic() - self.written
        due = self._schedule.is_due(boundary, age_s, self.cost_s)
        if self._stop and self._stop.is_too_late():
            return  # the last one stands; the end of the run says so
        elif due or self._is_best(boundary) or boundary.final or self._stop or self._stop.early:
            self._stop.early = False
            self._save(boundary)

    def state(self) -> Mapping[str, JsonValue]:
        """Return when a checkpoint was last due."""
        return {"last": self._schedule.every.last}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on counting from there."""
        self._schedule.every.last = state["last"]

    def _is_best(self, boundary: Boundary) -> bool:
        return self._best_step() == boundary.step

    def _fill(self, folder: Path) -> dict[str, FileFacts]:
        shared = save_parts(self.parts, folder)
        run = self._store.folder.parent
        facts = {
            record.path.relative_to(run).as_posix(): record.fingerprint()
            for record in self._records
            if isinstance(record, RecordFile)
        }
        write_json(folder / RECORDS, facts)
        return shared

    def _save(self, boundary: Boundary) -> None:
        start = time.perf_counter()
        for record in self._records:
            record.flush()
        self._store.write(
            boundary.step,
            self._fill,
            Marks(boundary.final, self.exact, self._is_best(boundary)),
        )
        self.last_step = boundary.step
        self.cost_s = time.perf_counter() - start
        self.written = time.monotonic()
        _LOG.info("checkpoint at step %d written in %.2f s.", boundary.step, self.cost_s)


class StatusCallback(RunCallback):
    """Keeps ``status.json`` true while the run goes on."""

    def __init__(
        self, run: RunDirectory, checkpoints: CheckpointCallback, every_seconds: float = 5.0
    ) -> None:
        """Write to ``run`` at most every ``every_seconds``."""
        super().__init__()
        self.notes: tuple[str, ...] = ()
        """Limits that the user should know."""
        self._run = run
        self._checkpoints = checkpoints
        self._every_seconds = every_seconds
        self._written = -float("inf")
        self._written_checkpoint: int | None = None

    def on_boundary(self, boundary: Boundary) -> None:
        """Write the status if it is old or there is a new checkpoint."""
        now = time.monotonic()
        newest = self._checkpoints.last_step
        if now - self._written < self._every_seconds and newest == self._written_checkpoint:
            return
        self._written, self._written_checkpoint = now, newest
        try:
            self._run.write_status(
                "running", boundary.step, last_checkpoint=newest, notes=self.notes
            )
        except LeaseLostError:
            raise
        except StorageError as error:  # the next checkpoint decides whether the disk is full
            _LOG.warning("%s", error)
