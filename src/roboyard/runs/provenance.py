"""Where a run comes from: versions, revision, machine, command."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from roboyard import json_text
from roboyard.resources import available_cores
from roboyard.runs.directory import RunDirectory, now
from roboyard.storage import atomic

GIT_TIMEOUT_S = 10.0
_LIBRARIES = (
    "roboyard",
    "stable-baselines3",
    "sb3-contrib",
    "torch",
    "jax",
    "numpy",
    "gymnasium",
    "pybullet",
    "mujoco",
)
_FEATURES = frozenset(
    {"sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512dq", "avx512bw", "avx512vl",
     "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_tile", "amx_bf16", "amx_int8",
     "asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2"}
)  # fmt: skip
"""Flags of processors by which numerical libraries choose their kernels."""


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
    try:
        answers = [
            subprocess.run(
                [git, *arguments],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=GIT_TIMEOUT_S,
                check=False,
            )
            for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno"))
        ]
    except (subprocess.TimeoutExpired, OSError):  # a huge checkout, or one behind a network
        return None
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
        "kernels": _kernels(),
        "cores": os.cpu_count() or 1,
        "usable_cores": available_cores(),
    }


def record_segment(
    run: RunDirectory, from_step: int, changes: Sequence[str] = ()
) -> dict[str, object]:
    """Add the part of the run that starts now to ``provenance.json``, and return the part.

    Args:
        run: The run's folder.
        from_step: The step it starts from; more than 0 for a continuation.
        changes: What of the config it changes, one text for each key.

    Raises:
        StorageError: The file cannot be written.
    """
    segment: dict[str, object] = {
        "started": now(),
        "from_step": from_step,
        "command": list(sys.argv),
        "changes": list(changes),
        "pid": os.getpid(),
        "host": host_facts(),
        "versions": library_versions(),
        "git_revision": git_revision(),
        "exact": True if from_step == 0 else None,
    }
    segments = [*_segments(run.provenance_file), segment]
    atomic.write_json(run.provenance_file, {"segments": segments})
    return segment


def judge_segment(run: RunDirectory, reasons: Sequence[str]) -> None:
    """Say in the newest part whether the run is still the one that was never interrupted.

    Args:
        run: The run's folder.
        reasons: Why it is not; empty if it is.

    Raises:
        StorageError: The file cannot be written.
    """
    segments = _segments(run.provenance_file)
    if segments and isinstance(segments[-1], dict):
        segments[-1] |= {"exact": not reasons, "not_exact_because": list(reasons)}
        atomic.write_json(run.provenance_file, {"segments": segments})


def _segments(path: Path) -> list[object]:
    try:
        return list(json_text.loads(path.read_text())["segments"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor()


def _kernels() -> str:
    """Return by what numerical libraries choose their kernels: maker, features, torch's level."""
    maker = _cpuinfo("vendor_id") or _cpuinfo("CPU implementer") or platform.machine()
    flags = (_cpuinfo("flags") or _cpuinfo("Features")).split()
    level = torch.backends.cpu.get_cpu_capability()
    return " ".join([maker, *sorted(_FEATURES.intersection(flags)), f"torch:{level}"])


def _cpuinfo(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return ""
    values = (line.partition(":")[2] for line in lines if line.partition(":")[0].strip() == name)
    return next(values, "").strip()
