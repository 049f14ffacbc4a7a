"""What this process may use of the machine: cores by affinity and quota, memory by its container.

Containers and batch systems limit both by control groups (version 2: ``cpu.max``, ``memory.max``;
version 1: ``cpu.cfs_quota_us``, ``memory.limit_in_bytes``), which ``os.cpu_count`` and the totals
of the machine don't show. A limit of an enclosing group counts as well.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from roboyard.errors import ConfigError

CGROUPS: Final = Path("/sys/fs/cgroup")
SMALLEST_MEMORY: Final = 450 * 2**20
"""Less than this [bytes] does not hold torch, PyBullet and a small network."""
_OWN_GROUPS: Final = Path("/proc/self/cgroup")
_UNLIMITED: Final = 2**60
"""Version 1 writes the largest multiple of a page for "no limit"."""


def available_cores() -> int:
    """Return the cores this process may use, by its affinity and its container's limit."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    return min([cores, *(max(1, int(quota)) for quota in _core_quotas())])


def memory_limit() -> int | None:
    """Return the memory that this process may use [bytes], or None where nothing tells."""
    limits = list(_memory_limits())
    with contextlib.suppress(AttributeError, OSError, ValueError):  # not POSIX
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits) if limits else None


def memory_text(size: float) -> str:
    """Return a size as people read it.

    Example:
        >>> memory_text(3 * 2**30)
        '3.0 GiB'
    """
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Refuse work that does not fit into memory, before the system ends it without a word.

    Args:
        needed: What the work takes [bytes].
        what: What takes it, as the subject of a sentence.
        remedy: What to do about it, as a sentence.

    Raises:
        ConfigError: It is more than this process may use.
    """
    limit = memory_limit()
    if limit is not None and needed > limit:
        raise ConfigError(
            f"{what} needs about {memory_text(needed)} of memory; this process may use "
            f"{memory_text(limit)}. {remedy}"
        )


def _core_quotas() -> Iterator[float]:
    for folder in _groups("cpu"):
        try:
            if (file := folder / "cpu.max").exists():
                quota, period = file.read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text()
                period = (folder / "cpu.cfs_period_us").read_text()
            if float(quota) > 0:
                yield float(quota) / float(period)
        except (OSError, ValueError):  # no such file, or "max"
            continue


def _memory_limits() -> Iterator[int]:
    for folder in _groups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            try:
                limit = int((folder / name).read_text())
            except (OSError, ValueError):  # no such file, or "max"
                continue
            if limit < _UNLIMITED:
                yield limit


def _groups(controller: str) -> Iterator[Path]:
    """Yield this process's group and all around it; a container sees its own group as the root."""
    try:
        rows = [line.split(":", 2) for line in _OWN_GROUPS.read_text().splitlines()]
    except OSError:
        rows = []
    seen: set[Path] = set()
    for _, controllers, path in (row for row in rows if len(row) == 3):
        if not controllers:
            root = CGROUPS
        elif controller in controllers.split(","):
            root = (
                CGROUPS / controllers if (CGROUPS / controllers).exists() else CGROUPS / controller
            )
        else:
            continue
        own = root / path.lstrip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(root) and folder not in seen:
                seen.add(folder)
                yield folder
