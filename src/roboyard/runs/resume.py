"""Which run to continue, and whether this config may continue it."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from roboyard.config.files import EXTENDS, SUFFIXES, read_text
from roboyard.config.load import as_written, load, to_dict
from roboyard.config.schema import ExperimentConfig
from roboyard.config.tree import Node
from roboyard.config.trust import findings, refuse
from roboyard.config.validation import checked
from roboyard.config.yaml_text import parse
from roboyard.errors import ConfigError, StorageError
from roboyard.runs.directory import RunDirectory
from roboyard.runs.ownership import CONFIG_FILE, local_folder, no_run
from roboyard.storage import open_store
from roboyard.storage.base import NotFoundError, join_key
from roboyard.storage.seal import is_sealed

_LOG = logging.getLogger(__name__)

CHANGEABLE = (
    "store",
    "env.workers",
    "train.total_steps",
    "checkpoint",
    "preemption",
    "early_stop",
    "evaluation.every_steps",
    "evaluation.final_episodes",
    "tracking",
    "video",
)
"""Keys that a continued run may change: none of them alters what is learnt up to a step."""
_FILES = ("task", "robot")
"""Keys whose value may be the name of a YAML file."""
ROUNDING = ("train.device", "train.threads", "train.data_parallel")
"""Keys that it may change, too, because another machine may want it, but not bit for bit."""


def newest_run(config: ExperimentConfig) -> str:
    """Return the folder or URI of the run of an experiment that was started or continued last.

    Raises:
        ConfigError: There is none.
        StorageError: The store cannot be read.
    """
    local = local_folder(config.store)
    if local is not None:
        return str(RunDirectory.latest(local, config.name).path)
    store = open_store(config.store)
    found = [
        (-info.age_s, info.key)
        for info in store.list(config.name)
        if info.key.count("/") == 2 and info.key.endswith(f"/{CONFIG_FILE}")
    ]
    if not found:
        raise ConfigError(
            f"no run of '{config.name}' in '{config.store}' to continue. "
            "Start one without --resume."
        )
    return join_key(store.uri, max(found)[1].removesuffix(f"/{CONFIG_FILE}"))


def config_of(
    source: str, overrides: Sequence[str] = (), *, trust_code: bool = False
) -> ExperimentConfig:
    """Return the config of a run, which may be a folder or a URI.

    Args:
        source: The run.
        overrides: As for ``config.load.load``.
        trust_code: Whether it may name code, files and environment variables; a run that this
            user started or continued on this machine always may.

    Raises:
        UntrustedError: It names what it may not.
        ConfigError: There is no run, or its ``config.yaml`` or an override is wrong.
        StorageError: The store cannot be read.
    """
    local = local_folder(source)
    if local is not None:
        return _admitted(RunDirectory.open(local).config_file, source, overrides, trust_code)
    uri = source.rstrip("/")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, CONFIG_FILE)
        try:
            open_store(uri).download(CONFIG_FILE, path)
        except NotFoundError as error:
            raise no_run(uri) from error
        return _admitted(path, uri, overrides, trust_code)


def _admitted(file: Path, source: str, overrides: Sequence[str], trusted: bool) -> ExperimentConfig:
    """Return a run's config; that of a stranger is looked at before any of it is looked up."""
    text = read_text(file)
    if not (trusted or is_sealed(text)):
        refuse(source, findings(checked(ExperimentConfig, parse(text, str(file), fill_in=False))))
    _check_complete(text, file)
    return load(file, overrides)


def _check_complete(text: str, file: Path) -> None:
    """Refuse a run's config that has other files read: a run writes its own in full.

    Raises:
        ConfigError: It does.
    """
    for key, node in _entries(parse(text, str(file), fill_in=False)):
        names_a_file = isinstance(node.value, str) and node.value.endswith(SUFFIXES)
        if key == EXTENDS or (key in _FILES and names_a_file):
            raise ConfigError(
                f"{node.place}{key}: the config of a run names another file, {node.plain()!r}. "
                "Write out what that holds, as 'roboyard config show' does."
            )


def _entries(node: Node) -> Iterator[tuple[str, Node]]:
    items = node.value.items() if isinstance(node.value, dict) else ()
    for key, item in items:
        yield key, item
        yield from _entries(item)


def load_run_config(run: RunDirectory) -> ExperimentConfig:
    """Return the config that a run was started with.

    Raises:
        ConfigError: Its ``config.yaml`` is damaged.
    """
    _check_complete(read_text(run.config_file), run.config_file)
    return load(run.config_file)


def check_continues(run: RunDirectory, config: ExperimentConfig) -> ExperimentConfig:
    """Compare a config with the one that the run was started with, and return that.

    What makes the continuation inexact is allowed, and said in the log.

    Raises:
        ConfigError: A key differs that a continued run may not change; all are named.
    """
    started_with = load_run_config(run)
    old, new = (dict(_flat(to_dict(each))) for each in (started_with, config))
    changes = {
        key: f"{key} ({old.get(key)!r} in the run, {new.get(key)!r} now)"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and not _changeable(key)
    }
    differing = [text for key, text in changes.items() if key not in ROUNDING]
    if differing:
        listed = ", ".join(differing)
        raise ConfigError(
            f"this config cannot continue the run '{run.path}': {listed} differ. "
            "Undo the change, or start a new run without --resume. "
            f"A continued run may change only: {', '.join((*CHANGEABLE, *ROUNDING))}."
        )
    if changes:
        _LOG.warning(
            "%s: numbers round differently from here on, so the run goes on, but not bit for bit "
            "as it would have.",
            ", ".join(changes.values()),
        )
    before, now = started_with.train.total_steps, config.train.total_steps
    if now < before:
        raise ConfigError(
            f"train.total_steps is {now}, but the run '{run.path}' was started with {before}; "
            "a continued run can be extended, not shortened."
        )
    for text in changes_of(started_with, config):
        _LOG.warning("this continuation changes %s.", text)
    return started_with


def changes_of(started_with: ExperimentConfig, config: ExperimentConfig) -> list[str]:
    """Return what a continuation changes of a run, one text for each key."""
    old, new = (dict(_flat(to_dict(each))) for each in (started_with, config))
    before, after = (dict(_flat(as_written(each))) for each in (started_with, config))  # to show
    texts = [
        f"{key}: {before.get(key)} -> {after.get(key)}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    steps = (started_with.train.total_steps, config.train.total_steps)
    scheduled = [
        key.removeprefix("agent.hyperparameters.").removesuffix(".type")
        for key, value in new.items()
        if key.startswith("agent.hyperparameters.")
        and key.endswith(".type")
        and value != "constant"
    ]
    if steps[0] != steps[1] and scheduled:
        texts.append(
            f"the schedule of {', '.join(scheduled)}, which now runs to step {steps[1]:,}: its "
            "value jumps where the run goes on"
        )
    return texts


def keeping_backend(run: RunDirectory, config: ExperimentConfig) -> ExperimentConfig:
    """Return the config with the backend that the run started with, unless it names one.

    Raises:
        ConfigError: The run's ``config.yaml`` is damaged.
    """
    if config.agent.backend != "auto":
        return config
    return config.with_backend(load_run_config(run).agent.backend)


def has_ended(run: RunDirectory, started_with: ExperimentConfig, config: ExperimentConfig) -> bool:
    """Return whether a run came to its end, and this config asks for no more of it."""
    try:
        status = run.read_status()
    except StorageError as error:
        _LOG.warning("%s The run goes on from its newest checkpoint.", error)
        return False
    # The config may have been replaced by a process that was killed before it went on.
    reached = status.goal or goal_of(started_with)
    return status.state == "finished" and reached == goal_of(config)


def goal_of(config: ExperimentConfig) -> str:
    """Return what decides when a run has ended, as one line of text."""
    steps, early_stop = config.train.total_steps, config.early_stop
    return f"{steps} steps; early stop {early_stop.model_dump_json()}"


def _flat(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def _changeable(key: str) -> bool:
    return any(key == allowed or key.startswith(f"{allowed}.") for allowed in CHANGEABLE)
