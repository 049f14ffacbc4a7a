"""Running a search: from a file or a place in a store to a best config."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from pydantic import JsonValue

from roboyard.config.load import as_written, load, load_written, to_yaml
from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError, StorageError
from roboyard.runs.index import find_runs
from roboyard.runs.ownership import local_folder, work_folder
from roboyard.seeds import derive_seeds
from roboyard.storage import open_store
from roboyard.storage.base import NotFoundError, Store, join_key
from roboyard.tuning.cluster import check_installed, check_nodes, check_resources, connected
from roboyard.tuning.evaluation_rows import OWN_METRICS, check_metric
from roboyard.tuning.experiment import absolute, is_recorded, stopped_by_sigterm
from roboyard.tuning.experiment_definition import RunResources
from roboyard.tuning.population import member_of
from roboyard.tuning.schedulers import make_scheduler
from roboyard.tuning.search_definition import PopulationScheduler, SearchDefinition, load_search
from roboyard.tuning.space import corners, ordered, to_overrides
from roboyard.tuning.study import STUDY_FILE, Study

SEARCH_FILE = "search.json"
BEST_FILE = "best.yaml"
_VERSION = 1


class SearchPlan(NamedTuple):
    """A search as its store knows it."""

    uri: str
    """The search's folder, or its place in a store."""
    definition: SearchDefinition
    base: ExperimentConfig
    """The config that trials change."""


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search came to."""

    uri: str
    """Its folder, or its place in a store."""
    values: dict[str, JsonValue]
    """The best trial's values; of several objectives, of the first one's best; empty if none."""
    objectives: tuple[float, ...]
    """What they reach."""
    best_config: str
    """Where the best config is, as a YAML file that ``roboyard train`` runs."""
    trials: dict[str, int]
    """How many trials ended in each state: complete, pruned, fail."""


def search(
    source: str | Path,
    *,
    address: str | None = None,
    listener: Callable[[Mapping[str, Any]], None] = lambda result: None,
) -> SearchResult:
    """Run a search to its end; ended trials are not repeated, unfinished ones continue exactly.

    Args:
        source: A YAML file, or a search in a store, which holds all that is needed to go on.
        address: An existing Ray cluster; by default a local Ray that ends with this call.
        listener: Told each result of each trial.

    Raises:
        ConfigError: The file, the space, the name, the store or the resources are wrong.
        MissingDependencyError: Ray or Optuna is not installed.
        StorageError: The store cannot be used.
    """
    check_installed()
    plan = plan_of(source)
    path = study_path(plan.uri)
    definition = plan.definition
    study = Study(path, definition)
    study.begin(definition.start, _earlier(definition))
    if _is_open(study, definition):
        with connected(address) as ray, stopped_by_sigterm():
            check_resources(ray, definition.resources)
            check_nodes(ray, plan.uri, SEARCH_FILE)
            _fit(ray, plan, study, listener)
    _send(plan.uri, path)
    return conclude(plan, study)


def plan_of(source: str | Path) -> SearchPlan:
    """Return the search of a file, recorded in its store, or the one recorded at a place.

    Raises:
        ConfigError: It is wrong, or its name is taken.
    """
    if is_recorded(source):
        return read_plan(absolute(str(source)))
    plan = planned_search(source)
    store = open_store(plan.uri)
    try:
        known = _parsed(store.get(SEARCH_FILE).data, plan.uri)
    except NotFoundError:
        if find_runs(store):
            raise ConfigError(
                f"the name '{plan.definition.name}' is taken: '{plan.uri}' holds runs that belong "
                "to no search. Choose another name."
            ) from None
        store.put(SEARCH_FILE, _dumped(plan), if_absent=True)
        return plan
    if _dumped(_comparable(known)) != _dumped(_comparable(plan)):
        raise ConfigError(
            f"the name '{plan.definition.name}' is taken by another search in '{plan.uri}', whose "
            "space or base config differs. Choose another name; only trials, parallel, resources "
            "and retries may change."
        )
    store.put(SEARCH_FILE, _dumped(plan))
    return plan


def planned_search(source: str | Path) -> SearchPlan:
    """Return the search of a file; nothing is written.

    Raises:
        ConfigError: Something about it is wrong.
    """
    definition = load_search(source)
    settings = [f"name={definition.name}", f"seed={definition.seeds[0]}"]
    if definition.store is not None:
        settings.append(f"store={json.dumps(definition.store)}")
    settings += _settings(definition)
    base = load(Path(source).parent / Path(definition.base).expanduser(), settings)
    uri = join_key(absolute(base.store), definition.name)
    plan = SearchPlan(uri, definition, base)
    _check_space(plan)
    _check_metrics(plan)
    return plan


def read_plan(uri: str) -> SearchPlan:
    """Return the search that was recorded at a place.

    Raises:
        ConfigError: There is none.
    """
    try:
        return _parsed(open_store(uri).get(SEARCH_FILE).data, uri)
    except NotFoundError as error:
        raise ConfigError(f"'{uri}' is not a search: it has no {SEARCH_FILE}.") from error


def study_path(uri: str) -> Path:
    """Return the study's file on this machine, fetched where the store is elsewhere."""
    local = local_folder(uri)
    if local is not None:
        return local / STUDY_FILE
    path = work_folder(uri) / STUDY_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    store = open_store(uri)
    if not path.exists() and store.stat(STUDY_FILE):
        store.download(STUDY_FILE, path)
    return path


def conclude(plan: SearchPlan, study: Study) -> SearchResult:
    """Write the best config and the report of a search."""
    from roboyard.tuning.search_report import write_search_report

    store, best = open_store(plan.uri), study.best()
    states: dict[str, int] = {}
    for trial in study.trials:
        states[trial.state.name.lower()] = states.get(trial.state.name.lower(), 0) + 1
    if not best:
        return SearchResult(plan.uri, {}, (), "", states)
    values = _values_in_force(store, plan, study, best[0].number)
    name = f"{plan.definition.name}-best"[:100]
    config = load_written(as_written(plan.base), [*to_overrides(values), f"name={name}"])
    store.put(BEST_FILE, to_yaml(config).encode())
    write_search_report(store, plan.definition, study)
    where = join_key(plan.uri, BEST_FILE)
    return SearchResult(plan.uri, values, tuple(best[0].values), where, states)


def _values_in_force(
    store: Store, plan: SearchPlan, study: Study, number: int
) -> dict[str, JsonValue]:
    if isinstance(plan.definition.scheduler, PopulationScheduler):
        member = member_of(store, number)
        if member is not None:
            return member.values
    return study.values(next(t for t in study.trials if t.number == number))


def _fit(
    ray: ModuleType, plan: SearchPlan, study: Study, listener: Callable[[Mapping[str, Any]], None]
) -> None:
    from ray import tune

    from roboyard.tuning.callback import ResultCallback
    from roboyard.tuning.searcher import StudySearcher
    from roboyard.tuning.trial import SearchTrial, TrialTask

    definition, store = plan.definition, open_store(plan.uri)
    is_population = isinstance(definition.scheduler, PopulationScheduler)
    metrics = tuple(objective.metric for objective in definition.objectives)
    task = TrialTask(
        plan.uri,
        as_written(plan.base),
        tuple(definition.seeds),
        metrics,
        definition.retries,
        definition.resources.cpus,
        os.getcwd(),
        is_population,
    )
    member = partial(member_of, store) if is_population else (lambda number: None)
    searcher = StudySearcher(study, as_written(plan.base), metrics, definition.trials, member)
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # what Ray prints with it, it prints at verbose=0, too
    _seed_perturbations(definition.seed, study)
    needs = definition.resources
    trainable = tune.with_resources(tune.with_parameters(SearchTrial, task=task), _bundle(needs))
    local = local_folder(plan.uri)
    with tempfile.TemporaryDirectory(prefix="roboyard-tune-") as scratch:
        # Checkpoints of a population's members, some bytes each, must be seen by all nodes.
        shared = (str(local / ".tune") if local else f"{plan.uri}/.tune") if is_population else ""
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                metric=metrics[0],
                mode=definition.objectives[0].goal,
                num_samples=-1,
                search_alg=searcher,
                scheduler=make_scheduler(definition, plan.base),
                max_concurrent_trials=definition.parallel or _room(ray, needs.cpus, needs.gpus),
                reuse_actors=not is_population,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=shared or scratch,
                # Lost nodes alone come here; what runs do wrong is judged by the trial itself.
                failure_config=tune.FailureConfig(max_failures=definition.retries.preemptions),
                # A donor's checkpoint must be there until its copy has started: all are kept.
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=int(is_population)),
                callbacks=[
                    ResultCallback(listener, partial(_send, plan.uri, study_path(plan.uri)))
                ],
                verbose=0,
            ),
        )
        results = tuner.fit()
    if results.num_errors:
        raise StorageError(f"{results.num_errors} trials were lost; run the search again to go on.")


def _seed_perturbations(seed: int, study: Study) -> None:
    """Seed what population-based training draws from; a continued search draws other numbers."""
    reported = sum(len(trial.intermediate_values) for trial in study.trials)
    drawn = derive_seeds(seed, f"population-{reported}", 1)[0] % 2**32
    random.seed(drawn)
    np.random.seed(drawn)


def _bundle(needs: RunResources) -> dict[str, float]:
    """Return what a trial needs, in Ray's words."""
    bundle = {"cpu": needs.cpus, "gpu": float(needs.gpus)}
    return bundle | ({"memory": needs.memory_gb * 1e9} if needs.memory_gb else {})


def _room(ray: ModuleType, cpus: float, gpus: float) -> int:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    fits = [
        int(min([n.get("CPU", 0.0) / cpus, *([n.get("GPU", 0.0) / gpus] if gpus else [])]))
        for n in nodes
    ]
    return max(1, sum(fits))


def _is_open(study: Study, definition: SearchDefinition) -> bool:
    ended = sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in study.trials)
    running = any(trial.state.name in ("RUNNING", "WAITING") for trial in study.trials)
    return running or ended < definition.trials


def _send(uri: str, path: Path) -> None:
    """Bring the study's file to the store, where that is elsewhere."""
    if local_folder(uri) is None and path.exists():
        open_store(uri).put(STUDY_FILE, path.read_bytes())


def _settings(definition: SearchDefinition) -> list[str]:
    """Return what a search asks of its base config: no videos, and a population's rhythm."""
    settings = ["video.final=false", "video.every_steps=null", "tracking.tensorboard=false"]
    if isinstance(definition.scheduler, PopulationScheduler):
        every = definition.scheduler.interval_steps
        settings += [
            f"evaluation.every_steps={every}",
            "checkpoint={}",
            f"checkpoint.every_steps={every}",
            f"checkpoint.keep_every_steps={every}",
        ]
    return settings


def _check_space(plan: SearchPlan) -> None:
    base = as_written(plan.base)
    ordered(plan.definition.space)
    for values in (*corners(plan.definition.space), *plan.definition.start):
        key = list(values)[-1] if values else ""
        if key in ("name", "seed", "store"):
            raise ConfigError(f"space: '{key}' is the search's own; it cannot be searched.")
        try:
            load_written(base, to_overrides(values))
        except ConfigError as error:
            if "unknown key" in str(error) or len(str(error).splitlines()) > 1:
                raise ConfigError(f"space: {error}") from error
            # One corner alone may clash with the base; a trial's values are checked together.
            if key and f"{key}:" in str(error) and "does not divide" not in str(error):
                raise ConfigError(f"space: {error}") from error


def _check_metrics(plan: SearchPlan) -> None:
    wanted = [objective.metric for objective in plan.definition.objectives]
    if all(metric in OWN_METRICS and metric != "success_rate" for metric in wanted):
        return
    from roboyard.evaluation.evaluate import evaluate_policy_spec

    found = evaluate_policy_spec("random", plan.base.env, episodes=1, num_envs=1)
    for metric in wanted:
        check_metric(metric, found.mean_metrics, found.successes is not None)


def _earlier(definition: SearchDefinition) -> Path | None:
    if definition.warm_start is None:
        return None
    return study_path(absolute(definition.warm_start))


def _comparable(plan: SearchPlan) -> SearchPlan:
    definition = plan.definition.model_copy(
        update={
            "trials": 1,
            "parallel": None,
            "store": None,
            "base": "-",
            "resources": type(plan.definition.resources)(),
            "retries": type(plan.definition.retries)(),
        }
    )
    return SearchPlan("", definition, plan.base.model_copy(update={"store": "-"}))


def _dumped(plan: SearchPlan) -> bytes:
    value = {
        "version": _VERSION,
        "definition": plan.definition.model_dump(mode="json"),
        "base": as_written(plan.base),
    }
    return json.dumps(value, indent=1).encode()


def _parsed(data: bytes, uri: str) -> SearchPlan:
    try:
        value = json.loads(data)
        if value["version"] != _VERSION:
            raise ValueError(f"its version is {value['version']}, this Roboyard reads {_VERSION}")
        definition = SearchDefinition.model_validate_json(json.dumps(value["definition"]))
        return SearchPlan(uri, definition, load_written(value["base"]))
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"'{uri}/{SEARCH_FILE}' cannot be read: {error}.") from error
