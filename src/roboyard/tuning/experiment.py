"""Running an experiment: from a file or a place in a store to finished runs."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from roboyard.errors import ConfigError
from roboyard.resources import available_cores
from roboyard.runs.ownership import local_folder
from roboyard.storage import open_store
from roboyard.storage.base import join_key
from roboyard.tuning.cluster import check_nodes, check_resources, connected, ray_resources
from roboyard.tuning.comparison import write_comparison
from roboyard.tuning.executor import Executor, RunRecord
from roboyard.tuning.experiment_definition import load_definition
from roboyard.tuning.experiment_record import LEDGER, ExperimentRecord, open_ledger, read_ledger
from roboyard.tuning.plan import plan

if TYPE_CHECKING:
    from types import FrameType


@dataclasses.dataclass(frozen=True)
class ExperimentResult:
    """How an experiment ended."""

    uri: str
    """Its folder, or its place in a store."""
    runs: tuple[RunRecord, ...]
    """How each run ended."""
    report: str = ""
    """Where their comparison is; empty if no run has finished."""

    @property
    def failed(self) -> tuple[RunRecord, ...]:
        """The runs that did not finish."""
        return tuple(run for run in self.runs if run.state != "finished")


def experiment(
    source: str | Path,
    *,
    address: str | None = None,
    listener: Callable[[RunRecord], None] = lambda record: None,
) -> ExperimentResult:
    """Run an experiment to its end; finished runs are skipped, unfinished ones continue exactly.

    Args:
        source: A YAML file, or an experiment in a store (a folder or ``s3://bucket/prefix/name``),
            which holds all that is needed to go on with it.
        address: An existing Ray cluster; by default a local Ray that ends with this call.
        listener: Told whenever something about a run changes.

    Raises:
        ConfigError: The file, its name, its store or the resources are wrong.
        MissingDependencyError: Ray is not installed.
        StorageError: The store cannot be used.
    """
    ledger = ledger_of(source)
    records = recorded(ledger)
    for record in records:
        listener(record)
    if not all(record.has_ended for record in records):
        with connected(address) as ray, stopped_by_sigterm():
            check_resources(ray, ledger.resources)
            check_nodes(ray, ledger.uri, LEDGER)
            Executor(ray, ledger, records, listener).run()
    report = write_comparison([ledger]) if any(r.state == "finished" for r in records) else ""
    return ExperimentResult(ledger.uri, tuple(records), report)


def recorded(ledger: ExperimentRecord) -> list[RunRecord]:
    """Return how the runs of an experiment are, as the store knows it; those that failed may go on.

    Raises:
        StorageError: The store cannot be read.
    """
    found, records = ledger.summaries(), []
    for run in ledger.runs:
        record = RunRecord(run)
        if run.run_id in found:
            summary = found[run.run_id]
            record.step, record.reason = summary.step, summary.reason
            record.state = "finished" if summary.state == "finished" else "interrupted"
        records.append(record)
    return records


@contextlib.contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, which stops all runs with checkpoints."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def ledger_of(source: str | Path) -> ExperimentRecord:
    """Return the experiment of a file, recorded in its store, or the one recorded at a place.

    Raises:
        ConfigError: It is wrong, or its name is taken.
    """
    ledger = planned(source)
    return ledger if is_recorded(source) else open_ledger(ledger)


def planned(source: str | Path) -> ExperimentRecord:
    """Return the experiment of a file, not recorded yet, or the one recorded at a place.

    Raises:
        ConfigError: It is wrong.
    """
    if is_recorded(source):
        return read_ledger(absolute(str(source)))
    definition = load_definition(source)
    runs = tuple(plan(definition, Path(source).parent))
    store = absolute(definition.store or runs[0].config.store)
    uri = join_key(store, definition.name)
    return ExperimentRecord(uri, definition.name, runs, definition.resources, definition.retries)


def is_recorded(source: str | Path) -> bool:
    """Return whether this is a place in a store, not a file."""
    return "://" in str(source) or Path(source).is_dir()


def where_it_fits(ledger: ExperimentRecord, address: str | None) -> str:
    """Return how many runs fit side by side, and where, in words.

    Raises:
        ConfigError: No node has what a run needs.
    """
    needs = ray_resources(ledger.resources)
    if address is None:
        cores = available_cores()
        if needs["CPU"] > cores:
            raise ConfigError(
                f"each run needs {needs['CPU']:g} cpus, and this process may use {cores}."
            )
        return f"{int(cores / needs['CPU'])} at a time on this machine ({cores} cores)."
    with connected(address) as ray:
        check_resources(ray, ledger.resources)
        nodes = [node for node in ray.nodes() if node["Alive"]]
        fits = {
            node["NodeManagerHostname"]: int(
                min(node["Resources"].get(key, 0.0) / value for key, value in needs.items())
            )
            for node in nodes
        }
        listed = ", ".join(f"{count} on {name}" for name, count in fits.items() if count)
        return f"{sum(fits.values())} at a time: {listed}."


def absolute(uri: str) -> str:
    """Return a store's URI such that it means the same in another working directory."""
    folder = local_folder(uri)
    if folder is not None:
        return str(folder.absolute())
    if not open_store(uri).uri:
        raise ConfigError(f"'{uri}' is no store.")
    return uri.rstrip("/")
