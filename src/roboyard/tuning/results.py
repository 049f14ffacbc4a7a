"""What the runs of experiments came to, read from their stores."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roboyard.evaluation.run_data import RunData, read_run
from roboyard.runs.directory import RunDirectory
from roboyard.runs.ownership import local_folder
from roboyard.storage import open_store
from roboyard.storage.base import NotFoundError
from roboyard.tuning.experiment_record import ExperimentRecord

_FILES = (
    "config.yaml",
    "status.json",
    "provenance.json",
    "evaluations.jsonl",
    "metrics.jsonl",
    "final_evaluation.json",
)

Floats = NDArray[np.float64]


class VariantResults(NamedTuple):
    """The runs of one variant, one a seed."""

    name: str
    runs: tuple[RunData, ...]
    """Those that have results."""
    planned: int
    """How many there are to be."""

    @property
    def scores(self) -> Floats:
        """Final mean return of each run, of the best policy on episodes of their own."""
        return np.array([score(run) for run in self.runs], dtype=np.float64)

    @property
    def is_complete(self) -> bool:
        """Whether every run has come to its end."""
        ended = sum(run.status.get("state") == "finished" for run in self.runs)
        return ended == self.planned


def score(run: RunData) -> float:
    """Return a run's score: its final evaluation, or its last one so far."""
    return run.final.mean if run.final is not None else run.evaluations[-1].mean


def gather(ledgers: Sequence[ExperimentRecord]) -> list[VariantResults]:
    """Return the variants of experiments, in their order.

    Raises:
        StorageError: A store cannot be read.
    """
    groups = []
    for ledger in ledgers:
        data = _read_all(ledger)
        for variant in dict.fromkeys(run.variant for run in ledger.runs):
            ids = [run.run_id for run in ledger.runs if run.variant == variant]
            found = tuple(data[i] for i in ids if data[i].final or data[i].evaluations)
            name = variant if len(ledgers) == 1 else f"{ledger.name}/{variant}"
            groups.append(VariantResults(name, found, len(ids)))
    return groups


def _read_all(ledger: ExperimentRecord) -> dict[str, RunData]:
    ids = [run.run_id for run in ledger.runs]
    local = local_folder(ledger.uri)
    if local is not None:
        return {run_id: read_run(RunDirectory(local / run_id)) for run_id in ids}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(8) as pool:
        return dict(pool.map(lambda i: (i, _fetched(ledger.uri_of(i), Path(folder, i))), ids))


def _fetched(uri: str, folder: Path) -> RunData:
    store = open_store(uri)
    folder.mkdir()
    for name in _FILES:
        try:
            store.download(name, folder / name)
        except NotFoundError:
            continue
    return read_run(RunDirectory(folder))
