"""What the benchmark scripts share: the machine in words, medians, Markdown tables, threads."""

from __future__ import annotations

import os
import platform
import statistics
from importlib import metadata
from pathlib import Path


def machine(*packages: str) -> str:
    """Describe the machine, Python and the versions of ``packages``, and how busy it is."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    return (
        f"{cpu}, {cores} cores, Linux {platform.release()}, Python {platform.python_version()}, "
        f"{versions}, load at start {load:.1f}"
    )


def spread(values: list[float], digits: int = 2) -> str:
    """Return median and range."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(header: list[str], rows: list[list[object]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
