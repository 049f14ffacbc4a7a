"""The manifest of a checkpoint: what is in it, and where it comes from."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from roboyard import json_text
from roboyard.errors import CheckpointError
from roboyard.runs.provenance import git_revision, host_facts, library_versions
from roboyard.storage import atomic

FORMAT_VERSION = 3
"""Version of the checkpoint format; it changes when an older reader would go wrong."""

MANIFEST = "MANIFEST.json"

SEGMENTS = "segments"
"""Folder beside the checkpoints that holds files which several of them need."""


_OWN_NAME = re.compile(rf"(\.\./{SEGMENTS}/)?[^/\\\0]*[^/\\\0.][^/\\\0]*")


class FileFacts(NamedTuple):
    """Size and fingerprint of one file."""

    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class CheckpointManifest:
    """What ``MANIFEST.json`` holds; a folder without one is no checkpoint."""

    step: int
    """Control steps done."""
    algorithm: str
    environment: str
    files: Mapping[str, FileFacts]
    final: bool = False
    """Whether it was taken after the last update, when no rollout followed."""
    exact: bool = True
    """Whether the run so far is the run that was never interrupted."""
    best: bool = False
    """Whether an evaluation had just been the best so far."""
    threads: int = dataclasses.field(default_factory=torch.get_num_threads)
    """Threads of torch, on whose number the last bits depend."""
    versions: Mapping[str, str] = dataclasses.field(default_factory=library_versions)
    git_revision: str | None = dataclasses.field(default_factory=git_revision)
    host: Mapping[str, str | int] = dataclasses.field(default_factory=host_facts)
    format_version: int = FORMAT_VERSION


class DamagedCheckpointError(CheckpointError):
    """A checkpoint's files are not what its manifest says."""


def write_manifest(folder: Path, manifest: CheckpointManifest) -> None:
    """Write ``MANIFEST.json``, which makes the folder a checkpoint."""
    value = dataclasses.asdict(manifest)
    value["files"] = {name: facts._asdict() for name, facts in manifest.files.items()}
    path = folder / MANIFEST
    path.write_text(json.dumps(value, indent=2) + "\n")
    atomic.fsync_file(path)


def describe_files(folder: Path) -> dict[str, FileFacts]:
    """Return size and fingerprint of every file, each forced to the disk."""
    facts = {}
    for path in sorted(folder.iterdir()):
        atomic.fsync_file(path)
        facts[path.name] = FileFacts(path.stat().st_size, atomic.sha256(path))
    return facts


def read_manifest(folder: Path) -> CheckpointManifest:
    """Read the manifest of a checkpoint.

    Raises:
        CheckpointError: It is of another format version.
        DamagedCheckpointError: It is missing or cannot be read.
    """
    path = folder / MANIFEST
    try:
        raw: dict[str, Any] = json_text.loads(path.read_text())
        version = raw["format_version"]
    except FileNotFoundError as error:
        raise DamagedCheckpointError(f"{MANIFEST} is missing") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCheckpointError(f"{MANIFEST} cannot be read ({error})") from error
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"checkpoint '{folder}' has format version {version}; this version of Roboyard reads "
            f"version {FORMAT_VERSION}. Continue the run with the version that wrote it: "
            f"{dict(raw.get('versions', {})).get('roboyard', 'unknown')}."
        )
    try:
        files = {name: FileFacts(**facts) for name, facts in raw.pop("files").items()}
        foreign = next((name for name in files if not _OWN_NAME.fullmatch(name)), None)
        if foreign is not None:
            raise DamagedCheckpointError(
                f"{MANIFEST} names '{foreign}', which is no file of a checkpoint"
            )
        return CheckpointManifest(files=files, **raw)
    except (TypeError, KeyError, AttributeError) as error:
        raise DamagedCheckpointError(f"{MANIFEST} is not of the expected form ({error})") from error


def verify_files(folder: Path, manifest: CheckpointManifest) -> None:
    """Compare the files with the manifest.

    Raises:
        DamagedCheckpointError: A file is missing, cut short or altered; the message names it.
    """
    for name, facts in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise DamagedCheckpointError(f"{name} is missing")
        size = path.stat().st_size
        if size != facts.bytes:
            raise DamagedCheckpointError(f"{name} has {size} bytes instead of {facts.bytes}")
        if atomic.sha256(path) != facts.sha256:
            raise DamagedCheckpointError(f"the content of {name} was altered (its SHA-256 differs)")
