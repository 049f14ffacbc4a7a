"""Where a policy is: a bundle file or a run, in a folder or in a store such as ``s3://``."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from roboyard import json_text
from roboyard.errors import PolicyError, StorageError

Which = Literal["best", "last"]
"""Which of a run's policies."""

SUFFIXES = (".zip", ".onnx")
"""By what the address of a bundle or a graph is told from that of a run."""
ACCEPTED = (
    "a policy bundle (such as <run>/policy/best.zip) or a run directory "
    "(<store>/<name>/<run-id>); either may be in a store, as s3://bucket/..."
)
_BEST, _LAST = "policy/best.zip", "policy/last.zip"


class NoPolicyError(PolicyError):
    """There is no policy at the place that was named."""

    exit_code = 2


def is_uri(source: str | Path) -> bool:
    """Return whether a text names a place in a store, and not one in the file system."""
    return "://" in str(source)


def find_bundle(source: str | Path, which: Which = "best") -> str:
    """Return the path or address of the bundle that ``source`` stands for.

    The last policy stands in for a best one that does not exist yet.

    Args:
        source: A bundle or a run, as a path or as an address such as ``s3://bucket/runs/ant/r1``.
            An address of a bundle ends in ``.zip`` or ``.onnx``.
        which: A run's best or its last policy.

    Raises:
        NoPolicyError: There is none; the message lists what is accepted.
        StorageError: The store cannot be read.
    """
    text = str(source)
    if text.endswith(SUFFIXES) if is_uri(text) else Path(text).is_file():
        return text
    if not is_uri(text) and not Path(text).exists():
        raise NoPolicyError(f"no policy at '{text}': it does not exist. Give {ACCEPTED}.")
    names = (_BEST, _LAST) if which == "best" else (_LAST,)
    return _in_run(text.rstrip("/"), which, names)


def _in_run(run: str, which: Which, names: Sequence[str]) -> str:
    from roboyard.storage import open_store

    store = open_store(run)
    for name in names:
        if store.stat(name) is not None:
            return f"{run}/{name}"
    if store.stat("config.yaml") is None:
        raise NoPolicyError(
            f"no policy at '{run}': it is not a run directory (it has no config.yaml). "
            f"Give {ACCEPTED}."
        )
    if which == "last" and store.stat(_BEST) is not None:
        raise NoPolicyError(f"run '{run}' has no last policy yet, only a best one: use 'best'.")
    try:
        status = json_text.loads(store.get("status.json").data)
        state = f"{status['state']} at step {status['step']}"
    except (StorageError, ValueError, KeyError, TypeError):
        state = "not started"
    raise NoPolicyError(
        f"run '{run}' has no policy yet (it is {state}). A policy is written at the first "
        "evaluation or checkpoint: wait for it, or continue the run with "
        f"'roboyard train {run} --resume'."
    )


def read_source(source: str | Path, max_bytes: int) -> bytes:
    """Return the content of a file or of an object in a store.

    Raises:
        PolicyError: The file cannot be read, or is too large.
        StorageError: The store has no such object or cannot be read.
    """
    if is_uri(source):
        return _read_object(str(source), max_bytes)
    path = Path(source)
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise PolicyError(f"'{source}' is not a policy: it is no regular file.")
        _check_size(source, facts.st_size, max_bytes)
        return path.read_bytes()
    except OSError as error:
        raise PolicyError(f"cannot read '{source}': {error.strerror or error}.") from error


def _read_object(uri: str, max_bytes: int) -> bytes:
    from roboyard.storage import open_store

    folder, _, key = uri.rpartition("/")
    store = open_store(folder)
    info = store.stat(key)
    _check_size(uri, info.size if info is not None else 0, max_bytes)
    return store.get(key).data


def _check_size(source: str | Path, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise PolicyError(
            f"'{source}' is not a policy: it has {size} bytes, more than {max_bytes}."
        )
