"""An experiment's record in its store: all that is needed to go on with it, anywhere."""

from __future__ import annotations

import json
from typing import NamedTuple

from pydantic import JsonValue

from roboyard.config.load import as_written
from roboyard.errors import ConfigError, StorageError
from roboyard.runs.index import RunSummary, find_runs
from roboyard.storage import open_store
from roboyard.storage.base import AlreadyExistsError, NotFoundError, join_key
from roboyard.tuning.experiment_definition import RetryLimits, RunResources
from roboyard.tuning.plan import PlannedRun, from_record, to_record

LEDGER = "experiment.json"
_VERSION = 1


class ExperimentRecord(NamedTuple):
    """An experiment as its store knows it."""

    uri: str
    """The experiment's folder, or its place in a store."""
    name: str
    runs: tuple[PlannedRun, ...]
    resources: RunResources
    retries: RetryLimits

    def uri_of(self, run_id: str) -> str:
        """Return what a run is continued with."""
        return join_key(self.uri.rstrip("/"), run_id)

    def summaries(self) -> dict[str, RunSummary]:
        """Return how the runs that were started really are, by run id.

        Raises:
            StorageError: The store cannot be read.
        """
        return {summary.run: summary for summary in find_runs(open_store(self.uri))}


def open_ledger(mine: ExperimentRecord) -> ExperimentRecord:
    """Record an experiment, or find it recorded; new seeds and variants may be added.

    Raises:
        ConfigError: The name is taken: by other runs, or by an experiment whose runs differ.
        StorageError: The store cannot be used.
    """
    opened = open_store(mine.uri)
    try:
        blob = opened.get(LEDGER)
    except NotFoundError:
        _refuse_strangers(mine)
        try:
            opened.put(LEDGER, _dumped(mine), if_absent=True)
        except AlreadyExistsError:
            return open_ledger(mine)
        return mine
    merged = _merged(_parsed(blob.data, mine.uri), mine)
    if _dumped(merged) != blob.data:
        opened.put(LEDGER, _dumped(merged), if_version=blob.info.version)
    return merged


def read_ledger(uri: str) -> ExperimentRecord:
    """Return the experiment that was recorded at a place.

    Raises:
        ConfigError: There is none.
        StorageError: The store cannot be read, or the record is damaged.
    """
    uri = uri.rstrip("/")
    try:
        return _parsed(open_store(uri).get(LEDGER).data, uri)
    except NotFoundError as error:
        raise ConfigError(
            f"'{uri}' is not an experiment: it has no {LEDGER}. Give the folder that "
            "'roboyard experiment run' printed, such as runs/hopper-study."
        ) from error


def _refuse_strangers(ledger: ExperimentRecord) -> None:
    strangers = sorted(ledger.summaries())
    if strangers:
        raise ConfigError(
            f"the name '{ledger.name}' is taken: '{ledger.uri}' holds {len(strangers)} runs that "
            f"belong to no experiment, such as '{strangers[0]}'. Choose another name."
        )


def _merged(old: ExperimentRecord, new: ExperimentRecord) -> ExperimentRecord:
    """Return the new experiment with the old one's further runs; those in both must agree."""
    known = {run.run_id: run for run in old.runs}
    planned = {run.run_id for run in new.runs}
    for run in new.runs:
        if run.run_id not in known:
            continue
        differing = _first_difference(_content(known[run.run_id]), _content(run))
        if differing:
            raise ConfigError(
                f"the name '{new.name}' is taken by another experiment in '{new.uri}': its run "
                f"'{run.run_id}' has {differing}. Choose another name, or undo the change."
            )
    return new._replace(runs=(*new.runs, *(run for run in old.runs if run.run_id not in planned)))


def _content(run: PlannedRun) -> JsonValue:
    """Return its config but for where it lies: a store may be moved, or mounted elsewhere."""
    return {**as_written(run.config), "store": ""}


def _first_difference(old: JsonValue, new: JsonValue, path: str = "") -> str:
    if old == new:
        return ""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                return _first_difference(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
    return f"{path} = {json.dumps(old)} there and {json.dumps(new)} here"


def _dumped(ledger: ExperimentRecord) -> bytes:
    value = {
        "version": _VERSION,
        "name": ledger.name,
        "resources": ledger.resources.model_dump(mode="json"),
        "retries": ledger.retries.model_dump(mode="json"),
        "runs": {run.run_id: to_record(run) for run in ledger.runs},
    }
    return json.dumps(value, indent=1).encode()


def _parsed(data: bytes, uri: str) -> ExperimentRecord:
    try:
        value = json.loads(data)
        if value["version"] != _VERSION:
            raise ValueError(f"its version is {value['version']}, this Roboyard reads {_VERSION}")
        return ExperimentRecord(
            uri,
            str(value["name"]),
            tuple(from_record(run_id, record) for run_id, record in value["runs"].items()),
            RunResources.model_validate(value["resources"]),
            RetryLimits.model_validate(value["retries"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"'{uri}/{LEDGER}' cannot be read: {error}.") from error
