"""Checkpoints: written whole or not at all, verified when read, rotated."""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from roboyard.errors import CheckpointError, StorageError
from roboyard.storage import atomic
from roboyard.storage.leases.guard import check_right, right_to_write
from roboyard.training.checkpoints.manifest import (
    SEGMENTS,
    CheckpointManifest,
    DamagedCheckpointError,
    FileFacts,
    describe_files,
    read_manifest,
    verify_files,
    write_manifest,
)
from roboyard.training.checkpoints.parts.base import CheckpointPart

_LOG = logging.getLogger(__name__)

# What the run itself writes; other names are not its own, and left alone.
_STEP = re.compile(r"[0-9]{12,}")
_UNFINISHED = re.compile(r"\.[0-9]{12,}(\.[0-9a-f]{8})?(\.old)?\.tmp")
_SEGMENT = re.compile(r"[0-9]{12,}-[0-9a-f]{8}\.npz")

Fill = Callable[[Path], Mapping[str, FileFacts] | None]


class CheckpointSubject(NamedTuple):
    """What a checkpoint belongs to; one of another subject is refused."""

    algorithm: str
    environment: str


class Retention(NamedTuple):
    """Which checkpoints are kept."""

    last: int = 3
    """How many of the newest."""
    every_steps: int | None = None
    """The first of each so many steps stays for ever."""

    def doomed(self, steps: Sequence[int], best: int | None = None) -> list[int]:
        """Return which of the checkpoints at ``steps``, ascending, are to be removed.

        Args:
            steps: Those that are there.
            best: Step of the one of the best evaluation, which stays.
        """
        kept = {best, *steps[-self.last :]}
        if self.every_steps is not None:
            firsts: dict[int, int] = {}
            for step in steps:
                firsts.setdefault(step // self.every_steps, step)
            # Those before the first multiple are first of nothing.
            kept |= {step for number, step in firsts.items() if number > 0}
        return [step for step in steps if step not in kept]


class Marks(NamedTuple):
    """What a checkpoint's manifest says about the moment at which it was taken."""

    final: bool = False
    """Whether no rollout follows."""
    exact: bool = True
    """Whether the run so far is the run that was never interrupted."""
    best: bool = False
    """Whether an evaluation has just been the best so far."""


_NEWEST, _PLAIN = Retention(), Marks()


class FoundCheckpoint(NamedTuple):
    """A checkpoint that was verified."""

    folder: Path
    manifest: CheckpointManifest


class CheckpointStore:
    """The checkpoints of one run: ``<folder>/<step>/``."""

    def __init__(
        self, folder: Path, subject: CheckpointSubject, retention: Retention = _NEWEST
    ) -> None:
        """Use ``folder``, which is made by the first checkpoint.

        Args:
            folder: Where the checkpoints live.
            subject: What they belong to.
            retention: Which to keep.
        """
        self._folder = folder
        self._subject = subject
        self._retention = retention

    @property
    def folder(self) -> Path:
        """Where the checkpoints live."""
        return self._folder

    def steps(self) -> list[int]:
        """Return the steps of the checkpoints that are there, damaged ones too, ascending."""
        return _steps(self._folder)

    def path(self, step: int) -> Path:
        """Return the folder of a step's checkpoint."""
        return self._folder / f"{step:012d}"

    def write(self, step: int, fill: Fill, marks: Marks = _PLAIN) -> Path:
        """Write a checkpoint and remove those that are too old.

        Args:
            step: Control steps done.
            fill: Writes the parts into the folder it is given, and returns what they need
                outside of it.
            marks: What to say about it.

        Raises:
            StorageError: It cannot be written; the older checkpoints stay as they are.
        """
        target = self.path(step)
        # A name of its own: a process that was frozen may still fill another one.
        temporary = self._folder / f".{target.name}.{secrets.token_hex(4)}.tmp"
        check_right(target)
        try:
            temporary.mkdir(parents=True)
            shared = fill(temporary) or {}
            files = {**describe_files(temporary), **shared}
            write_manifest(temporary, CheckpointManifest(step, *self._subject, files, *marks))
            atomic.fsync_folder(temporary)
            with right_to_write(target):
                self._put_in_place(temporary, target)
            atomic.fsync_folder(self._folder)
        except OSError as error:
            raise StorageError(self._write_failure(step, error)) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self._rotate()
        return target

    def newest_good(self) -> FoundCheckpoint | None:
        """Return the newest checkpoint that is whole, or None if there is none at all.

        Damaged ones are passed over with a warning that names the damage.

        Raises:
            CheckpointError: All are damaged, or the newest whole one belongs to another
                algorithm, environment or format version.
        """
        self._recover()
        damages = []
        for step in reversed(self.steps()):
            try:
                return self._verified(step)
            except DamagedCheckpointError as damage:
                damages.append(f"step {step}: {damage}")
                _LOG.warning(
                    "checkpoint '%s' is damaged (%s); trying the one before it.",
                    self.path(step),
                    damage,
                )
        if damages:
            raise CheckpointError(
                f"every checkpoint in '{self._folder}' is damaged ({'; '.join(damages)}). "
                "Start the run again under another --run-id."
            )
        return None

    def _put_in_place(self, temporary: Path, target: Path) -> None:
        """Give a complete checkpoint its name; one that has it is moved aside, then removed.

        Killed in between, both are complete under other names, and ``_recover`` finds them.
        """
        aside = temporary.with_name(f".{target.name}.{secrets.token_hex(4)}.old.tmp")
        if target.exists():  # the same step, done again after a continuation
            target.rename(aside)
        temporary.rename(target)
        shutil.rmtree(aside, ignore_errors=True)

    def _recover(self) -> None:
        """Give complete checkpoints their names back that a kill has taken from them."""
        for folder in _unfinished(self._folder):
            target = self._folder / folder.name.split(".")[1]
            if folder.name.endswith(".old.tmp") and not target.exists():
                with right_to_write(target):
                    folder.rename(target)

    def discard_after(self, step: int) -> None:
        """Remove checkpoints of later steps, and unfinished ones: they will be written again."""
        with right_to_write(self._folder):
            for unfinished in _unfinished(self._folder):
                shutil.rmtree(unfinished, ignore_errors=True)
            for later in self.steps():
                if later > step:
                    shutil.rmtree(self.path(later), ignore_errors=True)
            self._remove_unused_segments()

    def _verified(self, step: int) -> FoundCheckpoint:
        folder = self.path(step)
        manifest = read_manifest(folder)
        verify_files(folder, manifest)
        for name, ours in self._subject._asdict().items():
            theirs = getattr(manifest, name)
            if theirs != ours:
                raise CheckpointError(
                    f"checkpoint '{folder}' belongs to the {name} '{theirs}', but this run's "
                    f"{name} is '{ours}'. Continue with the config that wrote it, or start a new "
                    "run."
                )
        return FoundCheckpoint(folder, manifest)

    def _rotate(self) -> None:
        steps = self.steps()
        with right_to_write(self._folder):
            for step in self._retention.doomed(steps, self._best(steps)):
                shutil.rmtree(self.path(step), ignore_errors=True)
            self._remove_unused_segments()

    def _best(self, steps: Sequence[int]) -> int | None:
        """Return the step of the newest checkpoint that is marked as the best."""
        for step in reversed(steps):
            with contextlib.suppress(CheckpointError):
                if read_manifest(self.path(step)).best:
                    return step
        return None

    def _remove_unused_segments(self) -> None:
        """Remove shared files that no checkpoint needs; none, if one does not say what it needs."""
        folder = self._folder / SEGMENTS
        if not folder.is_dir():
            return
        try:
            manifests = [read_manifest(self.path(step)) for step in self.steps()]
        except CheckpointError:
            return
        used = {Path(name).name for manifest in manifests for name in manifest.files}
        for path in folder.iterdir():
            if path.name not in used and _SEGMENT.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def _write_failure(self, step: int, error: OSError) -> str:
        older = [other for other in self.steps() if other != step]
        kept = f"the one of step {older[-1]} is still good" if older else "there is no older one"
        return (
            f"cannot write the checkpoint of step {step} to '{self._folder}': "
            f"{error.strerror or error}; {kept}.{atomic.hint(error)} Then continue with --resume."
        )


def newest_step(folder: Path) -> int | None:
    """Return the step of the newest checkpoint in a folder of checkpoints, whole or not."""
    return max(_steps(folder), default=None)


def _steps(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if _STEP.fullmatch(path.name))


def _unfinished(folder: Path) -> list[Path]:
    """Return the folders of checkpoints that were being written, and nobody else's."""
    return [path for path in folder.glob(".*.tmp") if _UNFINISHED.fullmatch(path.name)]


def save_parts(parts: Mapping[str, CheckpointPart], folder: Path) -> dict[str, FileFacts]:
    """Write every part into a checkpoint's folder; return what they need outside of it."""
    shared: dict[str, FileFacts] = {}
    for part in parts.values():
        shared |= part.save(folder) or {}
    return shared


def load_parts(parts: Mapping[str, CheckpointPart], found: FoundCheckpoint) -> None:
    """Put every part back.

    Raises:
        CheckpointError: A part does not fit this run; the message names it.
    """
    for name, part in parts.items():
        try:
            part.load(found.folder)
        except (KeyError, ValueError, RuntimeError, OSError) as error:
            raise CheckpointError(
                f"checkpoint '{found.folder}' does not fit this run: its {name} cannot be "
                f"restored ({type(error).__name__}: {error})."
            ) from error
