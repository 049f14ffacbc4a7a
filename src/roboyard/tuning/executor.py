"""Starts attempts until every run of an experiment has ended."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from roboyard.config.load import to_yaml
from roboyard.errors import RoboyardError
from roboyard.tuning.cluster import draining_nodes, ray_resources
from roboyard.tuning.experiment_record import ExperimentRecord
from roboyard.tuning.plan import PlannedRun
from roboyard.tuning.run_task import RunEnd, RunOrder, RunProgress, attempt

_LOG = logging.getLogger(__name__)
_WAIT_S = 1.0
_BACKOFF_S, _LONGEST_BACKOFF_S = 1.0, 60.0
_GOODBYE_S = 90.0


@dataclasses.dataclass
class RunRecord:
    """What the executor knows about one run."""

    run: PlannedRun
    state: str = "queued"
    """``queued``, ``running``, ``finished``, ``interrupted`` or ``failed``."""
    step: int = 0
    value: float | None = None
    """Mean return of the newest evaluation."""
    node: str = ""
    reason: str = ""
    preemptions: int = 0
    errors: int = 0
    seconds: float = 0.0
    """Time of all its processes so far [s]."""
    cpu_s: float = 0.0
    """Processor time of all its ended processes [s]."""
    steps_per_s: float = 0.0
    process_s: float = 0.0
    """Time of its present process so far [s]."""
    not_before: float = 0.0
    last_error: tuple[object, ...] | None = None

    @property
    def hours(self) -> float:
        """Time on nodes so far [h]."""
        return (self.seconds + self.process_s) / 3600.0

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is done for it."""
        return self.state in ("finished", "failed")


Listener = Callable[[RunRecord], None]


class Executor:
    """Runs all runs of an experiment on Ray, which decides where and when."""

    def __init__(
        self,
        ray: ModuleType,
        ledger: ExperimentRecord,
        records: list[RunRecord],
        listener: Listener,
    ) -> None:
        """Prepare; nothing is started.

        Args:
            ray: Ray, connected.
            ledger: The experiment.
            records: Its runs as they are now; kept up to date.
            listener: Told whenever something changes.
        """
        self._ray = ray
        self._ledger = ledger
        self._listener = listener
        self._active: dict[Any, RunRecord] = {}
        self._node_of: dict[Any, str] = {}
        self._cancelled: set[Any] = set()
        self._task = ray.remote(max_retries=0)(_attempt_on_node)
        self.records = records

    def run(self) -> list[RunRecord]:
        """Run until every run has finished or failed; return how they ended.

        KeyboardInterrupt stops all of them with checkpoints and goes on its way.
        """
        try:
            while any(not record.has_ended for record in self.records):
                self._submit()
                self._collect()
                self._leave_draining_nodes()
        except BaseException:
            self._stop()
            raise
        return self.records

    def _submit(self) -> None:
        """Hand everything that may run to Ray; it holds what finds no place yet."""
        now, busy = time.monotonic(), {record.run.run_id for record in self._active.values()}
        for record in self.records:
            if record.has_ended or record.run.run_id in busy or now < record.not_before:
                continue
            needs = ray_resources(self._ledger.resources)
            task = self._task.options(
                num_returns="streaming",
                num_cpus=needs["CPU"],
                num_gpus=needs.get("GPU", 0.0),
                memory=needs.get("memory", 0.0),
                name=record.run.run_id,
            ).remote(self._order(record.run))
            self._active[task] = record

    def _order(self, run: PlannedRun) -> RunOrder:
        uri = self._ledger.uri_of(run.run_id)
        store = self._ledger.uri.rpartition("/")[0]
        config = run.config.model_copy(update={"store": store, "name": self._ledger.name})
        cpus = self._ledger.resources.cpus
        return RunOrder(run.run_id, uri, to_yaml(config), cpus, os.getcwd())

    def _collect(self) -> None:
        if not self._active:
            time.sleep(_WAIT_S)
            return
        ready, _ = self._ray.wait(list(self._active), timeout=_WAIT_S, num_returns=1)
        for task in ready:
            record = self._active[task]
            try:
                told = self._ray.get(next(task))
            except StopIteration:
                self._forget(task)
                continue
            except self._ray.exceptions.RayError as error:
                self._forget(task)
                self._lost(record, error, task in self._cancelled)
                continue
            self._hear(task, record, *told)

    def _hear(
        self, task: object, record: RunRecord, node_id: str, told: RunProgress | RunEnd
    ) -> None:
        self._node_of[task] = node_id
        record.node = told.node
        record.step = max(record.step, told.step)
        if isinstance(told, RunProgress):
            record.state = "running"
            record.value = told.best if told.best is not None else record.value
            record.process_s = told.seconds
            record.steps_per_s = told.steps_done / told.seconds if told.seconds else 0.0
        else:
            record.seconds, record.process_s = record.seconds + told.seconds, 0.0
            record.cpu_s += told.cpu_s
            self._judge(record, told)
        self._listener(record)

    def _judge(self, record: RunRecord, ended: RunEnd) -> None:
        record.reason = ended.reason
        if ended.is_finished:
            record.state = "finished"
        elif ended.is_preemption:
            self._preempted(record, ended.reason)
        else:
            self._failed(record, ended)

    def _preempted(self, record: RunRecord, reason: str) -> None:
        record.preemptions += 1
        record.reason, record.state = reason, "interrupted"
        if record.preemptions > self._ledger.retries.preemptions:
            record.state = "failed"
            record.reason = f"stopped from outside {record.preemptions} times; the last: {reason}"

    def _failed(self, record: RunRecord, ended: RunEnd) -> None:
        record.errors += 1
        this = (ended.code, ended.step, ended.reason)
        repeated, record.last_error = this == record.last_error, this
        users_mistake = ended.code == 2
        if record.errors > self._ledger.retries.errors or repeated or users_mistake:
            record.state = "failed"
            return
        record.state = "interrupted"
        pause = min(_BACKOFF_S * 2 ** (record.errors - 1), _LONGEST_BACKOFF_S)
        record.not_before = time.monotonic() + pause

    def _lost(self, record: RunRecord, error: Exception, cancelled: bool) -> None:
        """A node or a worker has gone, or the task was cancelled to leave a node."""
        errors = self._ray.exceptions
        if cancelled or isinstance(error, errors.TaskCancelledError):
            self._preempted(record, "its node is to go away")
        elif isinstance(error, errors.RayTaskError):
            text = str(error).strip().splitlines()[-1]
            self._failed(record, RunEnd(record.run.run_id, record.node, 1, 0, "", text, 0.0))
        else:
            self._preempted(record, f"its node or worker died ({type(error).__name__})")
        _LOG.warning("%s: %s.", record.run.run_id, record.reason)
        self._listener(record)

    def _leave_draining_nodes(self) -> None:
        if not self._active:
            return
        leaving = draining_nodes()
        for task, node in list(self._node_of.items()):
            if node in leaving and task in self._active and task not in self._cancelled:
                _LOG.warning("%s: leaves its node.", self._active[task].run.run_id)
                self._cancelled.add(task)
                self._ray.cancel(task, force=False)

    def _forget(self, task: object) -> None:
        self._active.pop(task, None)
        self._node_of.pop(task, None)

    def _stop(self) -> None:
        """Let every process write a checkpoint, and wait for it."""
        active = {task: record.run.run_id for task, record in self._active.items()}
        for task in active:
            with contextlib.suppress(Exception):
                self._ray.cancel(task, force=False)
        deadline = time.monotonic() + _GOODBYE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(RoboyardError):
                alive = {run for run, found in self._ledger.summaries().items() if found.is_alive}
                if not alive & set(active.values()):
                    return
            time.sleep(0.3)


def _attempt_on_node(order: RunOrder) -> Iterator[tuple[str, RunProgress | RunEnd]]:
    """Run an attempt as a Ray task; say on which node, because Ray does not tell the driver."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    for told in attempt(order):
        yield node, told
