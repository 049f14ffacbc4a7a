"""Running an experiment: from a file or a place in a store to finished runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from roboyard.errors import ConfigError
from roboyard.storage import open_store
from roboyard.training.custody import local_folder
from roboyard.tuning.cluster import check_nodes, check_resources, connected
from roboyard.tuning.definition import load_definition
from roboyard.tuning.executor import Executor, RunRecord
from roboyard.tuning.ledger import Ledger, open_ledger, read_ledger
from roboyard.tuning.plan import plan

if TYPE_CHECKING:
    from types import ModuleType


@dataclasses.dataclass(frozen=True)
class ExperimentResult:
    """How an experiment ended."""

    uri: str
    """Its folder, or its place in a store."""
    runs: tuple[RunRecord, ...]
    """How each run ended."""

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
    with connected(address) as ray:
        return run_ledger(ray, ledger, listener)


def run_ledger(
    ray: ModuleType, ledger: Ledger, listener: Callable[[RunRecord], None]
) -> ExperimentResult:
    """Run a recorded experiment on a Ray that is connected."""
    check_resources(ray, ledger.resources)
    check_nodes(ray, ledger.uri)
    records = Executor(ray, ledger, listener).run()
    return ExperimentResult(ledger.uri, tuple(records))


def ledger_of(source: str | Path) -> Ledger:
    """Return the recorded experiment of a file or of a place in a store.

    Raises:
        ConfigError: It is wrong, or its name is taken.
    """
    text = str(source)
    if "://" in text or Path(text).is_dir():
        return read_ledger(absolute(text))
    definition = load_definition(text)
    runs = plan(definition, Path(text).parent)
    store = absolute(definition.store or runs[0].config.store)
    return open_ledger(store, definition.name, runs, definition.resources, definition.retries)


def absolute(uri: str) -> str:
    """Return a store's URI such that it means the same in another working directory."""
    folder = local_folder(uri)
    if folder is not None:
        return str(folder.absolute())
    if not open_store(uri).uri:
        raise ConfigError(f"'{uri}' is no store.")
    return uri.rstrip("/")
