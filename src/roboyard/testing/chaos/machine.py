"""The machine that a run lives on while things happen to it."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from roboyard.cloud.rehearsal.metadata_service import MetadataService
from roboyard.runs.ownership import CACHE_VARIABLE, work_folder
from roboyard.runs.supervisor import Child
from roboyard.runs.variables import variables_set
from roboyard.storage.base import join_key
from roboyard.storage.leases.lease import TTL_VARIABLE
from roboyard.testing.chaos.damage import damage_some
from roboyard.testing.chaos.schedule import FaultKind
from roboyard.testing.faulty_s3 import Fault, FaultyS3

NOTICE_S = 5.0
"""Time from a notice to the end of the machine [s]; EC2 gives 120."""
_PATIENCE_S = 60.0
_LEASE_S = 3.0
_BUCKET = "chaos"
_S3_FAULTS = (
    Fault(method="PUT", status=503, code="SlowDown"),
    Fault(method="PUT", status=500, code="InternalError"),
    Fault(method="PUT", status=409, code="OperationAborted"),
    Fault(method="PUT", cut=True),
    Fault(method="PUT", done=True),
    Fault(method="*", status=403, code="ExpiredToken"),
)


class Machine:
    """Where processes run: their store, their disk, their metadata service; a context manager.

    Its environment variables are those of this process while it is open.
    """

    def __init__(self, folder: Path, faults: Iterable[FaultKind], seed: int = 0) -> None:
        """Describe a machine; nothing is started before ``with``.

        Args:
            folder: Holds all files.
            faults: What may happen; decides on the store and the services.
            seed: Of how hard faults strike.
        """
        self.folder = folder
        self._generator = random.Random(seed)
        self._metadata = MetadataService() if "notice" in faults else None
        # Only what is also elsewhere can be lost with a machine, or damaged on it.
        self._s3 = FaultyS3(_BUCKET) if {"s3", "corrupt"} & set(faults) else None
        self._is_replaced = "s3" in faults
        self._has_short_lease = "freeze" in faults
        self._struck: FaultKind | None = None
        self._caches = 0
        self._stack = contextlib.ExitStack()

    @property
    def store(self) -> str:
        """Where runs live that something happens to: a bucket if the store may stumble."""
        return str(self.folder) if self._s3 is None else f"s3://{_BUCKET}/runs"

    @property
    def settings(self) -> list[str]:
        """Settings that let a run notice what is announced."""
        if self._metadata is None:
            return []
        return ["preemption.watch=[imds]", "preemption.poll_seconds=0.2"]

    def work_folder(self, *names: str) -> Path:
        """Return the folder in which a run of the store is worked on."""
        return self.folder.joinpath(*names) if self._s3 is None else work_folder(self.uri(*names))

    def uri(self, *names: str) -> str:
        """Return what a run of the store is continued with."""
        return join_key(self.store, *names)

    def strike(self, fault: FaultKind, child: Child, run: Path) -> float:
        """Let something happen to a process.

        Args:
            fault: What.
            child: The process.
            run: The folder it works in.

        Returns:
            The time after which whoever is still alive is killed [s].
        """
        self._struck = fault
        if fault in ("kill", "corrupt"):
            child.kill()
        elif fault == "freeze":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGSTOP)
        elif fault == "term":
            child.signal(signal.SIGTERM)
        elif fault == "notice":
            assert self._metadata is not None
            self._metadata.interrupt(seconds=NOTICE_S)
            return NOTICE_S
        elif fault == "disk":
            self._fill_disk(child, run)
        else:
            assert self._s3 is not None
            times = self._generator.choice([1, 3, 10, 40])
            self._s3.fail(self._generator.choice(_S3_FAULTS), times)
        return _PATIENCE_S

    def replace(self, run: Path) -> None:
        """Put another machine in its place, which is healthy.

        Where the store may stumble, it has no copy of a bucket's runs. After damage to the copy it
        is the same machine; after a freeze, the frozen one lives on beside it.

        Args:
            run: The folder in which the run was worked on.
        """
        if self._metadata is not None:
            self._metadata.calm()
        if self._s3 is not None:
            self._s3.heal()
            if self._struck == "corrupt":
                damage_some(run, self._generator)
            elif self._struck == "freeze":
                self._caches += 1
                os.environ[CACHE_VARIABLE] = str(self._cache)
            elif self._is_replaced:
                shutil.rmtree(self._cache, ignore_errors=True)
        self._struck = None

    def __enter__(self) -> Self:
        variables: dict[str, str] = {}
        if self._metadata is not None:
            variables |= self._stack.enter_context(self._metadata).environment
        if self._s3 is not None:
            variables |= self._stack.enter_context(self._s3).environment
            variables[CACHE_VARIABLE] = str(self._cache)
        if self._has_short_lease:
            variables[TTL_VARIABLE] = str(_LEASE_S)
        self._stack.enter_context(variables_set(variables))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def _cache(self) -> Path:
        return self.folder / f"cache-{self._caches}"

    def _fill_disk(self, child: Child, run: Path) -> None:
        """Let no file of the process grow beyond a part of what a checkpoint needs."""
        sizes = [path.stat().st_size for path in run.glob("checkpoints/[0-9]*/*")]
        limit = int(self._generator.uniform(0.0, 1.0) * max(sizes, default=1024))
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE, (limit, hard))
