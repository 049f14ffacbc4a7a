"""Who drives a run, and how its files get to its store.

A run is worked on in a folder of this machine. Of a run in ``s3://``, the folder is a mirror: it
is fetched at the start and sent in the background, so that training never waits for the network.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError, StorageError
from roboyard.runs.directory import RunDirectory, check_run_id, refuse_links
from roboyard.storage import open_store
from roboyard.storage.base import AlreadyExistsError, join_key
from roboyard.storage.leases.fenced_store import FencedStore
from roboyard.storage.leases.folder_lease import FolderGuard
from roboyard.storage.leases.guard import check_right, guarded
from roboyard.storage.leases.lease import Lease, LeaseLostError, ttl_from_environment
from roboyard.storage.leases.record import LEASE_FILE
from roboyard.storage.local import LocalStore
from roboyard.storage.mirror.publish import publish_once
from roboyard.storage.mirror.remote_run import RemoteRun
from roboyard.storage.mirror.run_layout import is_private

_LOG = logging.getLogger(__name__)

CACHE_VARIABLE = "ROBOYARD_CACHE"
"""Environment variable: where runs of ``s3://`` stores are worked on."""
CONFIG_FILE = "config.yaml"
CLOSE_S = 300.0
"""How long the last upload of a run may take, where nothing else presses [s]."""


class RunOwnership:
    """The right to drive one run, held by this process; a context manager."""

    def __init__(
        self, run: RunDirectory, lease: Lease, remote: RemoteRun | None = None, uri: str = ""
    ) -> None:
        """Use ``drive_new`` or ``drive_existing`` instead.

        Args:
            run: The folder to work in.
            lease: The right to drive the run.
            remote: The connection to its store, if that is not the folder itself.
            uri: Where the run is, if not in its folder.
        """
        self.run = run
        self.uri = uri or str(run.path)
        """What another process continues the run with."""
        self.close_s = CLOSE_S
        """How long the last upload may take [s]; less when the machine is about to vanish."""
        self.may_miss = False
        """Whether it is no failure when the last upload does not succeed in time."""
        self._lease = lease
        self._remote = remote
        self._unpublished: dict[str, bytes] = {}

    @property
    def is_remote(self) -> bool:
        """Whether the run's files are sent somewhere."""
        return self._remote is not None

    @property
    def age_s(self) -> float:
        """Time since all files were last known to be in the store [s]; 0 for a local run."""
        return self._remote.mirror.age_s if self._remote is not None else 0.0

    @property
    def upload_s(self) -> float:
        """How long the last upload took [s]; 0 for a local run."""
        return self._remote.mirror.pass_s if self._remote is not None else 0.0

    @property
    def upload_error(self) -> StorageError | None:
        """Why the last upload failed; None after a good one."""
        return self._remote.mirror.error if self._remote is not None else None

    def check(self) -> None:
        """Make sure that nobody else drives the run; after a sleep, by renewing the lease.

        A store that is out of reach is no reason to stop: what is learnt goes to the folder, and
        nothing is sent before the lease has been renewed.

        Raises:
            LeaseLostError: Another process has taken over.
            StorageError: The run's folder was removed.
        """
        check_right(self.run.path)

    def publish(self, key: str, content: bytes) -> None:
        """Write a result to the run's store, once and for all.

        The same content again is no error; of another one it is said that the first stands. A
        store that is out of reach is tried again at the end, when credentials may be new.

        Raises:
            LeaseLostError: Another process has taken over.
        """
        self.check()
        try:
            publish_once(FencedStore(open_store(self.uri), self._lease), key, content)
        except AlreadyExistsError as error:
            _LOG.error("the result was not published: %s", error)
        except StorageError as error:
            self.check()  # a lease that ran out was perhaps taken over
            _LOG.warning("the result is not published yet: %s", error)
            self._unpublished[key] = content

    def push(self) -> None:
        """Have the files sent in the background; returns at once."""
        if self._remote is not None:
            self._remote.request_push()

    def __enter__(self) -> RunOwnership:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Send what is left and let others drive; who lost the run sends nothing."""
        lost = self._lease.lost is not None or issubclass(kind or Exception, LeaseLostError)
        try:
            if self._remote is not None and not lost:
                self._remote.flush(self.close_s)
            if not lost:
                self._publish_rest()
        except StorageError as error:
            if kind is None and not self.may_miss:
                raise
            _LOG.error("%s What is missing there is in '%s'.", error, self.run.path)
        finally:
            (self._remote or self._lease).release()

    def _publish_rest(self) -> None:
        """Publish what could not be published before.

        Raises:
            StorageError: It still cannot be.
        """
        for key, content in self._unpublished.items():
            try:
                publish_once(FencedStore(open_store(self.uri), self._lease), key, content)
            except StorageError as error:
                raise StorageError(
                    f"the result was not published: {error} "
                    f"'roboyard train {self.uri} --resume' publishes it."
                ) from error


@contextlib.contextmanager
def drive_new(config: ExperimentConfig, run_id: str | None) -> Iterator[RunOwnership]:
    """Make the folder of a new run and take its lease.

    Raises:
        ConfigError: There is a run of that name already.
        LeaseHeldError: Another process has just started it.
        StorageError: The folder or the store cannot be used.
    """
    local = local_folder(config.store)
    if local is not None:
        run = RunDirectory.create(local, config.name, run_id)
        with _drive_local(run) as custody:
            yield custody
        return
    if run_id is not None:
        check_run_id(run_id)
    run_id = run_id or datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    uri = join_key(config.store.rstrip("/"), config.name, run_id)
    if any(not is_private(info.key) for info in open_store(uri).list()):
        raise ConfigError(
            f"run '{uri}' exists and is not empty. "
            "Continue that run with --resume, or choose another name with --run-id."
        )
    folder = work_folder(uri)
    RunDirectory.create(folder.parent.parent, folder.parent.name, folder.name)
    with _drive_remote(uri, folder) as custody:
        yield custody


@contextlib.contextmanager
def drive_existing(source: str | Path) -> Iterator[RunOwnership]:
    """Take the lease of a run, a folder or a URI, and bring its folder up to date.

    Raises:
        ConfigError: There is no such run.
        LeaseHeldError: Another process drives it.
        StorageError: The store fails, or none of the run's checkpoints is intact.
    """
    local = local_folder(str(source))
    if local is not None:
        run = RunDirectory.open(local)
        refuse_links(run.path)
        with _drive_local(run) as custody:
            yield custody
        return
    uri = str(source).rstrip("/")
    if open_store(uri).stat(CONFIG_FILE) is None:
        raise no_run(uri)
    with _drive_remote(uri, work_folder(uri)) as custody:
        yield custody


def local_folder(uri: str) -> Path | None:
    """Return the folder that a store or a run is in; None if it is elsewhere.

    Raises:
        StorageError: The URI is wrong.
    """
    if "://" not in uri:
        return Path(uri).expanduser()
    store = open_store(uri)
    return store.root if isinstance(store, LocalStore) else None


def no_run(uri: str) -> ConfigError:
    """Return the error for a URI at which there is no run."""
    return ConfigError(
        f"'{uri}' is not a run: it has no {CONFIG_FILE}. "
        f"'roboyard runs list {uri.rpartition('/')[0]}' shows what there is."
    )


def work_folder(uri: str) -> Path:
    """Return the folder of this machine in which a run of a store is worked on."""
    base = os.environ.get(CACHE_VARIABLE)
    root = Path(base).expanduser() if base else Path.home() / ".cache" / "roboyard"
    return root.joinpath("runs", *uri.partition("://")[2].strip("/").split("/"))


@contextlib.contextmanager
def _drive_local(run: RunDirectory) -> Iterator[RunOwnership]:
    lease = Lease.acquire(
        LocalStore(run.path), LEASE_FILE, "roboyard train", ttl_from_environment()
    )
    lease.keep_alive()
    with guarded(run.path, FolderGuard(run.path, lease)), RunOwnership(run, lease) as custody:
        yield custody


@contextlib.contextmanager
def _drive_remote(uri: str, folder: Path) -> Iterator[RunOwnership]:
    refuse_links(folder)
    remote = RemoteRun.open(
        open_store(uri), folder, owner="roboyard train", ttl_s=ttl_from_environment()
    )
    for problem in remote.pulled.problems:
        _LOG.warning("not fetched: %s", problem)
    guard = FolderGuard(folder, remote.folder_lease, remote.lease)
    with (
        guarded(folder, guard),
        RunOwnership(RunDirectory(folder), remote.lease, remote, uri) as custody,
    ):
        yield custody
