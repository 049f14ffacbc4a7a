"""Roboyard's own images: which there are, and what one is built from."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from roboyard import __version__
from roboyard.errors import ConfigError
from roboyard.registry import suggest

TARGETS: Final = ("cpu", "gpu", "serve", "dev")
DOCKERFILE: Final = Path("docker/Dockerfile")
_FIRST_ZIP_DATE: Final = 315532800
"""1980-01-01, the earliest date that zip files and so wheels can hold [s since 1970]."""
_REFERENCE = re.compile(r"[a-z0-9][a-z0-9._:-]*(/[a-z0-9][a-z0-9._-]*)*(:[\w][\w.-]{0,127})?")


@dataclass(frozen=True)
class Checkout:
    """A checkout to build from.

    Attributes:
        root: Its folder.
        revision: Its git revision, with ``+changes`` where files differ from it.
        date: The date of that revision [s since 1970].
    """

    root: Path
    revision: str
    date: int

    def arguments(self) -> dict[str, str]:
        """Return the build arguments that make two builds of one revision the same."""
        return {
            "VERSION": __version__,
            "REVISION": self.revision,
            "SOURCE_DATE_EPOCH": str(self.date),
        }


def find_checkout(folder: Path) -> Checkout:
    """Return the checkout that holds a folder.

    Raises:
        ConfigError: There is no Dockerfile in it or above it.
    """
    start = folder.expanduser().absolute()
    for root in (start, *start.parents):
        if (root / DOCKERFILE).is_file():
            head = _git(root, "rev-parse", "HEAD") or "unknown"
            changed = bool(_git(root, "status", "--porcelain", "-uno"))
            date = _git(root, "log", "-1", "--format=%ct")
            revision = f"{head}+changes" if changed else head
            return Checkout(root, revision, max(int(date or 0), _FIRST_ZIP_DATE))
    raise ConfigError(
        f"no {DOCKERFILE} in '{folder}' or above it. Images are built from a checkout of "
        "Roboyard: go there, or name it with --context."
    )


def check_target(target: str) -> str:
    """Return the target, or raise a ``ConfigError`` that names the nearest valid one."""
    if target not in TARGETS:
        hint = suggest(target, TARGETS)
        raise ConfigError(f"unknown image '{target}'. Allowed: {', '.join(TARGETS)}.{hint}")
    return target


def check_reference(reference: str) -> str:
    """Return a ``registry/name:tag``, or raise a ``ConfigError``."""
    if "@" in reference or not _REFERENCE.fullmatch(reference):
        raise ConfigError(
            f"'{reference}' is not an image's name. Give REGISTRY/NAME[:TAG] in lower case, "
            "such as registry.example.org/team/roboyard:cpu; the digest is printed after the push."
        )
    return reference


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
