"""One trial of a search, as Ray Tune drives it: rows of evaluations, one a step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import JsonValue
from ray import tune

from roboyard.config.load import load_written, to_yaml
from roboyard.errors import TrainingError
from roboyard.evaluation.statistics import interquartile_mean
from roboyard.storage import open_store
from roboyard.storage.base import join_key
from roboyard.tuning.evaluation_rows import (
    EvaluationRow,
    evaluations,
    final_evaluation,
    training_time,
)
from roboyard.tuning.experiment_definition import RetryLimits
from roboyard.tuning.population import Member, copy_run, member_of, record
from roboyard.tuning.run_task import RunEnd, RunOrder, attempt
from roboyard.tuning.search_definition import RETURN
from roboyard.tuning.space import to_overrides

_STATE = "member.json"


class TrialTask(NamedTuple):
    """What all trials of a search share."""

    uri: str
    """The search's folder, or its place in a store."""
    base: dict[str, JsonValue]
    """The base config."""
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    """Names of the objectives' metrics."""
    retries: RetryLimits
    cpus: float
    folder: str
    """Where the driver was started."""
    is_population: bool = False
    """Whether trials may be copied from one another."""


def run_id_of(number: int, seed: int) -> str:
    """Return the name of a trial's run."""
    return f"t{number:04d}-s{seed}"


class SearchTrial(tune.Trainable):
    """Reports each evaluation of its first seed's run, then one result a further seed.

    What it reports depends on the runs alone, and the runs on their configs: a trial that starts
    again, anywhere, reports the same rows, at once where they are in the store already.
    """

    def setup(self, config: Mapping[str, Any], task: TrialTask | None = None) -> None:
        """Take the place of a trial; nothing is started yet."""
        assert task is not None  # what tune.with_parameters hands over
        self._task = task
        self._take(config)

    def _take(self, config: Mapping[str, Any]) -> None:
        task = self._task
        self._number, self._values = int(config["number"]), dict(config["values"])
        self._known = config.get("known")  # an ended trial's last step: no run is started for it
        self._seen = self._at = 0
        self._running: Iterator[object] | None = None
        self._results = self._all_results()
        self._member: Member | None = None
        if task.is_population:
            self._member = member_of(open_store(task.uri), self._number)
            if self._member is None:
                self._member = Member(run_id_of(self._number, task.seeds[0]), self._values)
                record(open_store(task.uri), self._number, self._member)

    def reset_config(self, new_config: Mapping[str, Any]) -> bool:
        """Take the place of another trial, in the same process."""
        self.cleanup()
        self._take(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Return the next result, which may take as long as training does."""
        return next(self._results)

    def cleanup(self) -> None:
        """Stop what runs, with a checkpoint."""
        running, self._running = self._running, None
        if running is not None:
            running.close()  # type: ignore[attr-defined]

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write which run this is and how far it was reported; the run has its own checkpoints."""
        state = {"run_id": self._first_run(), "step": self._at, "seen": self._seen}
        Path(checkpoint_dir, _STATE).write_text(json.dumps(state))

    def load_checkpoint(self, checkpoint_dir: str) -> None:  # type: ignore[override]
        """Go on where a checkpoint was: this trial's own, or another one's with new values."""
        state = json.loads(Path(checkpoint_dir, _STATE).read_text())
        if self._member is None:
            return  # it reports again what it has reported, which changes nothing
        self._seen, self._at = int(state["seen"]), int(state["step"])
        own = self._member.run_id == state["run_id"]
        if own and self._member.values == self._values:
            return
        store = open_store(self._task.uri)
        first, _, generation = self._member.run_id.partition("-x")
        run_id = f"{first}-x{int(generation or 0) + 1}"
        self.cleanup()
        copy_run(store, state["run_id"], int(state["step"]), run_id, self._values)
        self._member = Member(run_id, self._values, state["run_id"], int(state["step"]))
        record(store, self._number, self._member)

    def _all_results(self) -> Iterator[dict[str, Any]]:
        try:
            yield from self._first_seed()
            if self._known is not None:
                yield {**self._numbers([], self._at, 0.0), "done": True, "ended": False}
            yield from self._other_seeds()
        except TrainingError as error:
            yield {**self._numbers([], 0, 0.0), "done": True, "ended": False, "failed": str(error)}

    def _first_seed(self) -> Iterator[dict[str, Any]]:
        run_id = self._first_run()
        uri = join_key(self._task.uri, run_id)
        for row in self._rows(run_id):
            self._seen += 1
            self._at = row.step
            result = self._numbers([row], row.step, training_time(uri))
            yield {**result, "done": False, "ended": False}

    def _first_run(self) -> str:
        if self._member is not None:
            return self._member.run_id
        return run_id_of(self._number, self._task.seeds[0])

    def _other_seeds(self) -> Iterator[dict[str, Any]]:
        finals: list[EvaluationRow] = []
        steps, seconds = 0, 0.0
        for index, seed in enumerate(self._task.seeds):
            run_id = self._first_run() if index == 0 else run_id_of(self._number, seed)
            uri = join_key(self._task.uri, run_id)
            for _ in self._rows(run_id) if index else ():
                pass
            final = final_evaluation(uri)
            if final is None:
                raise TrainingError(f"'{uri}' has no final evaluation")
            finals.append(final)
            steps, seconds = steps + final.step, seconds + training_time(uri)
            is_last = index == len(self._task.seeds) - 1
            yield {**self._numbers(finals, steps, seconds), "done": is_last, "ended": is_last}

    def _rows(self, run_id: str) -> Iterator[EvaluationRow]:
        """Yield the evaluations of a run from where it was, as they are made; start it first."""
        uri, position = join_key(self._task.uri, run_id), self._seen
        if self._known is not None:
            yield from (row for row in evaluations(uri)[position:] if row.step <= self._known)
            return
        errors = preemptions = 0
        while True:
            self._running = attempt(self._order(run_id))
            ended: RunEnd | None = None
            for told in self._running:
                ended = told if isinstance(told, RunEnd) else None
                for row in evaluations(uri)[position:]:
                    position += 1
                    yield row
            self._running = None
            assert ended is not None
            if ended.is_finished:
                return
            preemptions, errors = (
                preemptions + ended.is_preemption,
                errors + (not ended.is_preemption),
            )
            if errors > self._task.retries.errors or preemptions > self._task.retries.preemptions:
                raise TrainingError(ended.reason or f"exit code {ended.code}")
            if ended.code == 2:  # the config's own fault, which another start does not mend
                raise TrainingError(ended.reason)

    def _order(self, run_id: str) -> RunOrder:
        seed = int(run_id.partition("-s")[2].partition("-")[0])
        store, _, name = self._task.uri.rpartition("/")
        values = self._values if self._member is None else self._member.values
        settings = [f"seed={seed}", f"store={json.dumps(store)}", f"name={name}"]
        config = load_written(self._task.base, [*to_overrides(values), *settings])
        uri = join_key(self._task.uri, run_id)
        return RunOrder(run_id, uri, to_yaml(config), self._task.cpus, self._task.folder)

    def _numbers(self, rows: list[EvaluationRow], steps: int, seconds: float) -> dict[str, Any]:
        """Return every metric: of several runs over all their episodes together."""
        known: dict[str, float] = {"steps": steps, "time_s": seconds}
        found: dict[str, Any] = {"steps": steps, "number": self._number}
        found["run_id"] = self._first_run()
        for metric in self._task.metrics:
            value = float("nan")
            if metric in known:
                value = known[metric]
            elif metric == RETURN and rows:
                value = interquartile_mean([x for row in rows for x in row.returns])
            elif rows:
                value = sum(row.value(metric) for row in rows) / len(rows)
            found[metric] = value
        return found
