"""Which run to continue, and whether this config may continue it."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from roboyard.config.load import load, to_dict
from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError
from roboyard.storage import open_store
from roboyard.storage.base import NotFoundError, join_key
from roboyard.storage.run_directory import RunDirectory
from roboyard.training.custody import CONFIG_FILE, local_folder, no_run
from roboyard.training.device import with_backend

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
ROUNDING = ("train.device", "train.threads")
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


def config_of(source: str, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Return the config of a run, which may be a folder or a URI.

    Raises:
        ConfigError: There is no run, or its ``config.yaml`` or an override is wrong.
        StorageError: The store cannot be read.
    """
    local = local_folder(source)
    if local is not None:
        return load(RunDirectory.open(local).config_file, overrides)
    uri = source.rstrip("/")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, CONFIG_FILE)
        try:
            open_store(uri).download(CONFIG_FILE, path)
        except NotFoundError as error:
            raise no_run(uri) from error
        return load(path, overrides)


def load_run_config(run: RunDirectory) -> ExperimentConfig:
    """Return the config that a run was started with.

    Raises:
        ConfigError: Its ``config.yaml`` is damaged.
    """
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
    return started_with


def keeping_backend(run: RunDirectory, config: ExperimentConfig) -> ExperimentConfig:
    """Return the config with the backend that the run started with, unless it names one.

    Raises:
        ConfigError: The run's ``config.yaml`` is damaged.
    """
    if config.agent.backend != "auto":
        return config
    return with_backend(config, load_run_config(run).agent.backend)


def has_ended(run: RunDirectory, started_with: ExperimentConfig, config: ExperimentConfig) -> bool:
    """Return whether a run came to its end, and this config asks for no more of it."""
    asks_for_more = (started_with.train.total_steps, started_with.early_stop) != (
        config.train.total_steps,
        config.early_stop,
    )
    return run.read_status().state == "finished" and not asks_for_more


def _flat(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def _changeable(key: str) -> bool:
    return any(key == allowed or key.startswith(f"{allowed}.") for allowed in CHANGEABLE)
