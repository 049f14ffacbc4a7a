"""What stores know about the files of a run, so that nobody ever reads half a checkpoint.

A checkpoint is a folder ``checkpoints/<step>/`` that holds ``MANIFEST.json``; without one it
does not exist. So writers store the manifest last and remove it first, and readers look for
it first.
"""

from __future__ import annotations

import hashlib
import posixpath
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from roboyard import json_text
from roboyard.storage.base import DamagedError, check_key, join_key
from roboyard.storage.leases.record import LEASE_FILE

MANIFEST = "MANIFEST.json"
STATUS = "status.json"
RECORDS = "records.json"
"""Part of a checkpoint: length and SHA-256 of what each growing file of the run held then."""
RESULTS = "results"
"""Folder of what was published, one file for each last step; a run can be extended."""
_CHECKPOINTS = "checkpoints"
_SEGMENTS = f"{_CHECKPOINTS}/segments/"
_LATER = ("videos", "report")


class PartFacts(NamedTuple):
    """What a manifest says about one file."""

    size: int
    """Length [bytes]."""
    sha256: str
    """SHA-256 in hexadecimal."""


def checkpoint_of(key: str) -> str | None:
    """Return the checkpoint folder that a file of a run belongs to, if any.

    Example:
        >>> checkpoint_of("checkpoints/000000002048/policy.safetensors")
        'checkpoints/000000002048'
    """
    parts = key.split("/")
    if len(parts) > 2 and parts[0] == _CHECKPOINTS and parts[1].isdecimal():
        return f"{_CHECKPOINTS}/{parts[1]}"
    return None


def is_segment(key: str) -> bool:
    """Return whether a file may belong to several checkpoints, whose manifests name it."""
    return key.startswith(_SEGMENTS)


def checkpoints_among(keys: Iterable[str]) -> list[str]:
    """Return the complete checkpoint folders among a run's files, the newest first."""
    folders = {folder for key in keys if (folder := checkpoint_of(key)) and is_manifest(key)}
    return sorted(folders, key=step_of, reverse=True)


def step_of(checkpoint: str) -> int:
    """Return the control step of a checkpoint folder."""
    return int(checkpoint.rpartition("/")[2])


def is_manifest(key: str) -> bool:
    """Return whether this file makes its folder a checkpoint."""
    folder = checkpoint_of(key)
    return folder is not None and key == f"{folder}/{MANIFEST}"


def is_private(key: str) -> bool:
    """Return whether a file is about who drives a run where, and never travels with it."""
    return key == LEASE_FILE


def is_published(key: str) -> bool:
    """Return whether a file is a result, which is published once and never sent again."""
    return key.startswith(f"{RESULTS}/")


def upload_rank(key: str) -> int:
    """Return when to store a file; lower ranks first.

    What a checkpoint needs comes before its manifest, which comes before what can wait when
    a machine is about to vanish; ``status.json``, which names the checkpoint, is the last.
    """
    if key == STATUS:
        return 3
    if is_manifest(key):
        return 1
    return 2 if key.partition("/")[0] in _LATER else 0


def parse_manifest(data: bytes, checkpoint: str) -> dict[str, PartFacts]:
    """Return the files of a checkpoint by their keys within the run.

    Raises:
        DamagedError: The manifest is damaged.
    """
    try:
        files = json_text.loads(data)["files"].items()
        return {
            _key_in_run(checkpoint, name): PartFacts(int(facts["bytes"]), str(facts["sha256"]))
            for name, facts in files
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(
            f"{checkpoint}/{MANIFEST} cannot be read ({type(error).__name__}: {error})"
        ) from error


def _key_in_run(checkpoint: str, name: str) -> str:
    return check_key(posixpath.normpath(join_key(checkpoint, name)))


def file_fault(path: Path, facts: PartFacts) -> str:
    """Return how a file differs from what a manifest says, or an empty string."""
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != facts.size:
        return f"has {path.stat().st_size} bytes instead of {facts.size}"
    return "" if _sha256(path, facts.size) == facts.sha256 else "was altered (its SHA-256 differs)"


def first_fault(folder: Path, files: Mapping[str, PartFacts]) -> str:
    """Return the first difference between a run's files and a manifest, or an empty string."""
    for key, facts in files.items():
        fault = file_fault(folder / key, facts)
        if fault:
            return f"{key} {fault}"
    return ""


def prefix_fault(path: Path, facts: PartFacts) -> str:
    """Return how the start of a file that has grown since differs, or an empty string."""
    if not path.is_file():
        return "is missing"
    if path.stat().st_size < facts.size:
        return f"has {path.stat().st_size} bytes, fewer than the {facts.size} that were written"
    return "" if _sha256(path, facts.size) == facts.sha256 else "was altered (its SHA-256 differs)"


def content_fault(path: Path) -> str:
    """Return what is wrong with a file that tells itself whether it is whole, or nothing."""
    try:
        if path.suffix == ".json" and not isinstance(json_text.loads(path.read_bytes()), dict):
            return "holds no JSON object"
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as bundle:
                broken = bundle.testzip()
            return f"is damaged: its part '{broken}' is" if broken else ""
    except (ValueError, zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        return f"is damaged: {error}"
    return ""


def _sha256(path: Path, length: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while length > 0 and (chunk := file.read(min(length, 1 << 20))):
            digest.update(chunk)
            length -= len(chunk)
    return digest.hexdigest()
