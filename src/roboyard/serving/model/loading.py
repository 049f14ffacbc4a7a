"""From what the command line names to loaded, warmed-up versions."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from roboyard.errors import ConfigError, PolicyError
from roboyard.policies.bundle.locate import find_bundle, is_uri
from roboyard.policies.runtime.policy import RuntimePolicy
from roboyard.serving.http.telemetry import Telemetry
from roboyard.serving.http.tensors import load_header
from roboyard.serving.model.batching import Batcher
from roboyard.serving.model.catalog import Catalog, Version, check_name, check_weights, weigh
from roboyard.serving.model.warming import warm_up
from roboyard.serving.settings import Settings
from roboyard.serving.task_process import TaskProcess, WorkerError
from roboyard.storage import open_store
from roboyard.storage.base import join_key


class Spec(NamedTuple):
    """A bundle as the command line names it."""

    name: str | None
    """Name to serve it under; None takes the one in the bundle."""
    location: str
    """Bundle file, run directory, or either of them in a store."""


def parse_spec(text: str) -> Spec:
    """Read ``[NAME=]LOCATION``.

    Raises:
        ConfigError: The name cannot be used.
    """
    name, equals, location = text.partition("=")
    if equals and "/" not in name:
        return Spec(check_name(name), location)
    return Spec(None, text)


def parse_split(text: str) -> tuple[str, tuple[float, ...]]:
    """Read ``NAME=SHARE,SHARE``.

    Raises:
        ConfigError: It has another form.
    """
    name, _, shares = text.partition("=")
    try:
        return check_name(name), tuple(float(share) for share in shares.split(","))
    except ValueError:
        raise ConfigError(
            f"split '{text}' is not of the form NAME=SHARE,SHARE, such as walker=90,10."
        ) from None


class Loader:
    """Opens bundles and makes them ready."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._worker = TaskProcess(settings.open_memory_bytes)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="roboyard-network")

    def load(self, path: Path, name: str | None, source: str) -> Version:
        """Open a bundle and run it once; callable from any thread.

        Raises:
            PolicyError: It is damaged or does not run.
            ConfigError: Its name cannot be used in an address.
        """
        try:
            policy = RuntimePolicy.open(path)
            batcher = Batcher(
                policy,
                self._pool,
                max_rows=self._settings.max_batch_rows,
                max_wait_s=self._settings.max_wait_s,
                max_queued_rows=self._settings.max_queued_rows,
                observer=self._telemetry.record_run,
            )
            batcher.seconds_per_run = warm_up(policy, self._settings.max_batch_rows)
        except PolicyError as error:
            self._telemetry.record_load("failed")
            raise PolicyError(str(error).replace(str(path), source)) from error
        self._telemetry.record_load("loaded")
        return Version(name or check_name(policy.name), policy, batcher, source)

    def load_location(self, spec: Spec) -> Version:
        """Load a bundle file or a run's policy, from the disk or a store.

        Raises:
            PolicyError: There is none, or it is damaged.
            StorageError: The store cannot be read.
        """
        found = find_bundle(spec.location)
        if not is_uri(found):
            return self.load(Path(found), spec.name, found)
        folder, _, key = found.rpartition("/")
        return self.fetch(folder, key, spec.name)

    def fetch(self, uri: str, key: str, name: str | None, *, is_strange: bool = False) -> Version:
        """Load a bundle out of a store.

        Args:
            uri: The store.
            key: The bundle in it.
            name: Name to serve it under; None takes the one in the bundle.
            is_strange: Whether to try it out in a process of its own before.

        Raises:
            NotFoundError: It is not there.
            StorageError: The store cannot be read.
            PolicyError: It is damaged, or takes too much time or memory.
        """
        with tempfile.TemporaryDirectory(prefix="roboyard-") as folder:
            path = Path(folder) / f"policy{Path(key).suffix}"
            open_store(uri).download(key, path)
            source = join_key(uri, key)
            if is_strange:
                self._try_out(path, source)
            return self.load(path, name, source)

    def close(self) -> None:
        """End the process in which bundles are tried out."""
        self._worker.close()

    def _try_out(self, path: Path, source: str) -> None:
        """Open a bundle in a process of its own first, with limits of time and memory."""
        rows, timeout_s = self._settings.max_batch_rows, self._settings.open_timeout_s
        try:
            outcome = self._worker.ask("bundle", str(path).encode(), timeout_s, rows)
            reason = load_header(outcome).get("__metadata__", {}).get("error")
        except WorkerError as error:
            reason = str(error)
        if reason is not None:
            self._telemetry.record_load("failed")
            text = str(reason).replace(str(path), source)
            raise PolicyError(text if source in text else f"'{source}' cannot be opened: {text}.")


def load_all(
    loader: Loader, catalog: Catalog, bundles: Sequence[str], splits: Sequence[str]
) -> None:
    """Load what the command line names.

    Args:
        loader: Opens the bundles.
        catalog: Where they go.
        bundles: ``[NAME=]LOCATION`` each; bundles of one name are its versions.
        splits: ``NAME=SHARE,SHARE`` each, in the order of the name's bundles; without one the
            last bundle gets all requests.

    Raises:
        ConfigError: A split fits no policy.
        PolicyError: A bundle is damaged.
    """
    by_name: dict[str, list[Version]] = {}
    for text in bundles:
        version = loader.load_location(parse_spec(text))
        versions = by_name.setdefault(version.name, [])
        if any(version.digest == other.digest for other in versions):
            raise ConfigError(
                f"'{text}' is given twice as a version of policy '{version.name}'; its content "
                "is the same. Give one of them, or another name as NAME=BUNDLE."
            )
        versions.append(version)
    shares = dict(parse_split(text) for text in splits)
    for name, given in shares.items():
        if len(by_name.get(name, ())) != len(given):
            raise ConfigError(
                f"the split of policy '{name}' has {len(given)} shares, but "
                f"{len(by_name.get(name, ()))} bundles have this name."
            )
    for name, versions in by_name.items():
        weigh(name, versions, None)
        for version, share in zip(versions, shares.get(name, ()), strict=False):
            version.weight = share
        check_weights(name, versions)
        catalog.publish(name, versions)
