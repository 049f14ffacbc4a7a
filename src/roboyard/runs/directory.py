"""A run's folder: where each file is, and what state the run is in.

Layout::

    <store>/<name>/<run-id>/
      config.yaml  provenance.json  status.json  train.log
      checkpoints/<step>/  policy/best.zip  policy/last.zip
      evaluations.jsonl  metrics.jsonl  tensorboard/  videos/  report/
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import os
import re
import socket
import stat
from pathlib import Path
from typing import Literal, Self, get_args

from roboyard import json_text
from roboyard.errors import ConfigError, StorageError
from roboyard.storage import atomic
from roboyard.storage.base import is_reserved
from roboyard.text import concealed

_RUN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=+,@-]{0,199}")

_OF_A_START = {".lease.json.lock", "lease.json", "train.log", "status.json"}
"""What a process leaves that ended before the run had a config; the folder counts as empty."""

RunState = Literal["queued", "running", "interrupted", "finished", "failed"]
"""Where a run stands."""


@dataclasses.dataclass(frozen=True)
class RunStatus:
    """What ``status.json`` holds."""

    state: RunState
    """Where the run stands."""
    step: int
    """Control steps done, in all environments together."""
    reason: str = ""
    """Why it stopped, or what it is doing."""
    last_checkpoint: int | None = None
    """Step of the newest good checkpoint."""
    notes: tuple[str, ...] = ()
    """Limits that the user should know, such as an environment that cannot be restored exactly."""
    updated: str = ""
    """When this was written (UTC, ISO 8601)."""
    host: str = ""
    """Machine that wrote it."""
    pid: int = 0
    """Process that wrote it."""
    goal: str = ""
    """What a finished run was asked for, so that asking for more is noticed."""


def now() -> str:
    """Return the time as ISO 8601 text in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def local_store(store: str | Path) -> Path:
    """Return the store's folder.

    Raises:
        ConfigError: The store is not a local folder.
    """
    if "://" in str(store):
        raise ConfigError(
            f"store '{store}' is not a local folder, which is needed here. "
            "Give a folder, such as 'runs'."
        )
    return Path(store).expanduser()


def check_run_id(run_id: str) -> str:
    """Return a run's name if it can be a folder's name, here and in a bucket.

    Raises:
        ConfigError: It cannot.
    """
    if _RUN_ID.fullmatch(run_id) is None:
        raise ConfigError(
            f"--run-id {run_id!r} cannot be a run's name. Give 1 to 200 letters, digits, '.', '_', "
            "'-', '=', '+', ',' or '@' that do not begin with '.' or '-', such as 'seed-1'."
        )
    return run_id


def refuse_links(folder: Path) -> None:
    """Refuse a run's folder that holds anything but files and folders.

    A link leads out of the run, so continuing would write to, or remove, what is not its own.

    Raises:
        ConfigError: It holds a link, a pipe or a device; the message names it.
    """
    if not folder.is_dir():
        return
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
                continue
            kind = f"a link to '{path.readlink()}'" if stat.S_ISLNK(mode) else "no plain file"
            raise ConfigError(
                f"'{path}' is {kind}. A run that is continued must hold only files and folders of "
                "its own: put a copy in its place, or remove it."
            )


class RunDirectory:
    """One run's folder."""

    def __init__(self, path: Path) -> None:
        """Point at a folder; use ``create`` or ``open`` unless it is known to be right."""
        self.path = path
        self.config_file = path / "config.yaml"
        self.provenance_file = path / "provenance.json"
        self.status_file = path / "status.json"
        self.checkpoints = path / "checkpoints"
        self.policy_best = path / "policy" / "best.zip"
        self.policy_last = path / "policy" / "last.zip"
        self.evaluations_file = path / "evaluations.jsonl"
        self.metrics_file = path / "metrics.jsonl"
        self.tensorboard = path / "tensorboard"
        self.videos = path / "videos"
        self.report = path / "report"
        self.log_file = path / "train.log"

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    @classmethod
    def create(cls, store: str | Path, name: str, run_id: str | None = None) -> Self:
        """Make the folder of a new run.

        Args:
            store: Folder that holds all runs.
            name: Name of the experiment.
            run_id: Folder name of the run; by default the time.

        Raises:
            ConfigError: The folder exists and is not empty.
            StorageError: It cannot be made.
        """
        if run_id is not None:
            check_run_id(run_id)
        experiment = local_store(store) / name
        try:
            experiment.mkdir(parents=True, exist_ok=True)
            path = _made_fresh(experiment) if run_id is None else _made(experiment / run_id)
        except OSError as error:
            raise StorageError(
                f"cannot make a run directory in '{experiment}': {error.strerror or error}."
            ) from error
        if any(not _is_of_a_start(file.name) for file in path.iterdir()):
            raise ConfigError(
                f"run directory '{path}' exists and is not empty. "
                "Continue that run with --resume, or choose another name with --run-id."
            )
        return cls(path)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open an existing run's folder.

        Raises:
            ConfigError: There is no run there.
        """
        run = cls(Path(path).expanduser())
        if not run.config_file.is_file():
            raise ConfigError(
                f"'{path}' is not a run directory: it has no config.yaml. Give the folder that "
                "'roboyard train' printed, such as runs/cartpole/20260101-120000."
            )
        return run

    @classmethod
    def latest(cls, store: str | Path, name: str) -> Self:
        """Open the newest run of an experiment.

        Raises:
            ConfigError: The experiment has no run in this store.
        """
        experiment = local_store(store) / name
        configs = sorted(
            experiment.glob("*/config.yaml"), key=lambda file: (file.stat().st_mtime, file)
        )
        if not configs:
            raise ConfigError(
                f"no run of '{name}' in '{store}' to continue. Start one without --resume."
            )
        return cls(configs[-1].parent)

    def write_status(
        self,
        state: RunState,
        step: int,
        *,
        reason: str = "",
        last_checkpoint: int | None = None,
        notes: tuple[str, ...] = (),
        goal: str = "",
    ) -> None:
        """Replace ``status.json``.

        Raises:
            StorageError: It cannot be written; the old one stays.
        """
        status = RunStatus(
            state,
            step,
            concealed(reason),
            last_checkpoint,
            notes,
            now(),
            socket.gethostname(),
            os.getpid(),
            goal,
        )
        atomic.write_json(self.status_file, dataclasses.asdict(status))

    def read_status(self) -> RunStatus:
        """Return what ``status.json`` says; a run that has not started yet is queued.

        Raises:
            StorageError: The file is damaged.
        """
        try:
            raw = json_text.loads(self.status_file.read_text())
            status = RunStatus(**{**raw, "notes": tuple(raw.get("notes", ()))})
        except FileNotFoundError:
            return RunStatus("queued", 0)
        except (OSError, ValueError, TypeError) as error:
            raise StorageError(f"'{self.status_file}' cannot be read: {error}.") from error
        if status.state not in get_args(RunState):
            raise StorageError(f"'{self.status_file}' has the unknown state '{status.state}'.")
        return status


def _is_of_a_start(name: str) -> bool:
    return name in _OF_A_START or is_reserved(name)


def _made(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


def _made_fresh(experiment: Path) -> Path:
    """Make a folder named after the time, which no other process has."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    for suffix in itertools.chain([""], (f"-{count}" for count in itertools.count(2))):
        with contextlib.suppress(FileExistsError):
            path = experiment / f"{stamp}{suffix}"
            path.mkdir()
            return path
    raise AssertionError("unreachable: the suffixes do not end")
