"""What of a run's folder may be sent: only what is as its manifest says."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path

from roboyard.storage.base import DamagedError
from roboyard.storage.mirror.run_layout import (
    MANIFEST,
    PartFacts,
    checkpoint_of,
    checkpoints_among,
    content_fault,
    file_fault,
    is_segment,
    parse_manifest,
)

_LOG = logging.getLogger(__name__)

Stamps = Mapping[str, Hashable]
"""Files of a run, and what changes whenever the file does."""


class Outgoing:
    """Compares files with their manifests, each once."""

    def __init__(self, folder: Path) -> None:
        """Look at the run in ``folder``."""
        self._folder = folder
        self._verified: dict[str, tuple[Hashable, PartFacts]] = {}
        self._manifests: dict[str, tuple[Hashable, dict[str, PartFacts]]] = {}
        self._told: set[tuple[str, Hashable]] = set()

    def held_back(self, files: Stamps, changed: Iterable[str]) -> set[str]:
        """Return which changed files must not be sent.

        A checkpoint with a damaged file is held back as a whole, a segment that no intact
        checkpoint needs as well, and so is a bundle that is not whole.

        Args:
            files: All files of the run.
            changed: Those that are to be sent.
        """
        changed = set(changed)
        needed: set[str] = set()
        held: set[str] = set()
        for checkpoint in checkpoints_among(files):
            facts = self._facts(checkpoint, files)
            concerned = changed & {*(facts or ()), *_inside(checkpoint, changed)}
            if not concerned:
                continue
            if facts is None or self._is_damaged(checkpoint, facts, files):
                held |= _inside(checkpoint, changed)
            else:
                needed |= facts.keys()
        held |= {key for key in changed if is_segment(key) and key not in needed}
        held |= {key for key in changed if key.endswith(".zip") and self._is_broken(key, files)}
        return held

    def _facts(self, checkpoint: str, files: Stamps) -> dict[str, PartFacts] | None:
        key = f"{checkpoint}/{MANIFEST}"
        stamp = files[key]
        known = self._manifests.get(key)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            facts = parse_manifest((self._folder / key).read_bytes(), checkpoint)
        except FileNotFoundError:  # rotated meanwhile
            return None
        except (DamagedError, OSError) as error:
            self._tell(key, stamp, str(error))
            return None
        self._manifests[key] = (stamp, facts)
        return facts

    def _is_damaged(self, checkpoint: str, facts: Mapping[str, PartFacts], files: Stamps) -> bool:
        for key, expected in facts.items():
            stamp = files.get(key)
            if stamp is not None and self._verified.get(key) == (stamp, expected):
                continue
            try:
                fault = file_fault(self._folder / key, expected)
            except OSError as error:
                fault = f"cannot be read: {error}"
            if fault:
                if (self._folder / checkpoint / MANIFEST).exists():  # else rotated meanwhile
                    self._tell(key, stamp, f"{key} {fault}")
                return True
            self._verified[key] = (stamp, expected)
        return False

    def _is_broken(self, key: str, files: Stamps) -> bool:
        fault = content_fault(self._folder / key)
        if fault:
            self._tell(key, files[key], f"{key} {fault}")
        return bool(fault)

    def _tell(self, key: str, stamp: Hashable, text: str) -> None:
        if (key, stamp) not in self._told:
            self._told.add((key, stamp))
            _LOG.error("damaged in '%s', and not sent: %s.", self._folder, text)


def _inside(checkpoint: str, keys: Iterable[str]) -> set[str]:
    return {key for key in keys if checkpoint_of(key) == checkpoint}
