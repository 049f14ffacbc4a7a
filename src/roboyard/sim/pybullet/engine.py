"""The PyBullet module itself, without its chatter.

PyBullet writes notes straight to the C-level standard output. :func:`captured_output` takes them
away while a call runs, so that they can go to the log and into error messages.
"""

from __future__ import annotations

import ctypes
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

_NOTE = re.compile(r"b3(\w+)\[[^\]]*\]:?\s*")


class Capture:
    """What the engine wrote while it was listened to."""

    text = ""

    def cause(self) -> str:
        """Return the engine's own words on what went wrong, in one line, or an empty string."""
        parts = _NOTE.split(self.text)
        notes = list(zip(parts[1::2], parts[2::2], strict=True)) or [("Error", self.text)]
        errors = [words for kind, words in notes if kind == "Error"]
        chosen = errors or [words for _, words in notes[-1:]]
        missing = [words for _, words in notes if "cannot find" in words or "not found" in words]
        return " ".join(" ".join([*missing, *chosen]).split())[:300]


def _can_capture() -> bool:
    # File descriptors belong to the process: another thread's output would be taken along.
    return os.name == "posix" and threading.active_count() == 1


def _redirect(descriptor: int, target: int) -> int | None:
    """Point ``descriptor`` at ``target``; return a copy of what it was, None if it is closed."""
    try:
        saved = os.dup(descriptor)
    except OSError:
        return None
    os.dup2(target, descriptor)
    return saved


@contextmanager
def captured_output(*, of_all_threads: bool = False) -> Iterator[Capture]:
    """Take what C code writes to standard output and error; log it at level DEBUG.

    Does nothing while other Python threads run, whose output would be taken along, unless the
    caller gives that back.
    """
    capture = Capture()
    if not (_can_capture() or of_all_threads):
        yield capture
        return
    flush = ctypes.CDLL(None).fflush
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    flush(None)
    with tempfile.TemporaryFile() as file:
        saved = {descriptor: _redirect(descriptor, file.fileno()) for descriptor in (1, 2)}
        try:
            yield capture
        finally:
            flush(None)
            for descriptor, copy in saved.items():
                if copy is not None:
                    os.dup2(copy, descriptor)
                    os.close(copy)
            file.seek(0)
            capture.text = file.read().decode(errors="replace")
            if capture.text:
                logger.debug("physics engine: %s", " ".join(capture.text.split()))


with captured_output(of_all_threads=True) as _captured:  # a lease is renewed in a thread by now
    import pybullet

_others = [text for text in _captured.text.splitlines() if not text.startswith("pybullet build")]
if _others:
    print(*_others, sep="\n", file=sys.stderr)


EngineError: type[Exception] = pybullet.error
"""What PyBullet raises for everything."""


__all__ = ["Capture", "EngineError", "captured_output", "pybullet"]
