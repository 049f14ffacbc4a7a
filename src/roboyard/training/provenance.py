"""Where a run comes from: versions, revision, machine, command."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from roboyard.resources import available_cores
from roboyard.storage import atomic
from roboyard.storage.run_directory import RunDirectory, now

_LIBRARIES = (
    "roboyard",
    "stable-baselines3",
    "sb3-contrib",
    "torch",
    "jax",
    "numpy",
    "gymnasium",
    "pybullet",
)


@functools.cache
def library_versions() -> dict[str, str]:
    """Return the versions of what a run's numbers depend on."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def git_revision() -> str | None:
    """Return the revision of the working folder, with ``+changes`` if it was edited.

    Asked once in a process: later edits are not what it runs.
    """
    return _revision_of(Path.cwd())


@functools.cache
def _revision_of(folder: Path) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    answers = [
        subprocess.run(
            [git, *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=False
        )
        for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno"))
    ]
    if answers[0].returncode != 0:
        return None
    return answers[0].stdout.strip() + ("+changes" if answers[1].stdout.strip() else "")


@functools.cache
def host_facts() -> dict[str, str | int]:
    """Return what is worth knowing about the machine."""
    return {
        "name": socket.gethostname(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "usable_cores": available_cores(),
    }


def record_segment(run: RunDirectory, from_step: int) -> dict[str, object]:
    """Add the part of the run that starts now to ``provenance.json``, and return the part.

    Args:
        run: The run's folder.
        from_step: The step it starts from; more than 0 for a continuation.

    Raises:
        StorageError: The file cannot be written.
    """
    segment: dict[str, object] = {
        "started": now(),
        "from_step": from_step,
        "command": list(sys.argv),
        "pid": os.getpid(),
        "host": host_facts(),
        "versions": library_versions(),
        "git_revision": git_revision(),
    }
    segments = [*_segments(run.provenance_file), segment]
    atomic.write_json(run.provenance_file, {"segments": segments})
    return segment


def _segments(path: Path) -> list[object]:
    try:
        return list(json.loads(path.read_text())["segments"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
