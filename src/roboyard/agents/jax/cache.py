"""Compiled updates on disk, so that only the first start of a kind pays for compiling.

JAX keeps what it compiles where ``jax_compilation_cache_dir`` says. It writes a file in place and
never writes it again, so a process that is killed would leave one that no later process can read.
Here each process writes into a folder of its own, and whole files are linked into the shared one.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import jax

_LOG = logging.getLogger(__name__)
_DAY_S = 86_400.0
_PRIVATE = "process-"


class CompilationCache:
    """A folder of compiled programs that processes share, as one process sees it."""

    def __init__(self, shared: Path) -> None:
        """Begin with what is there.

        Raises:
            OSError: The folder cannot be written to.
        """
        self._shared = shared
        shared.mkdir(parents=True, exist_ok=True)
        self._forget_the_dead()
        self.folder = Path(tempfile.mkdtemp(prefix=_PRIVATE, dir=shared))
        """Where this process reads and writes."""
        _link_files(shared, self.folder)

    def publish(self) -> None:
        """Give other processes what this one has compiled; the files must be whole by now."""
        with contextlib.suppress(OSError):
            _link_files(self.folder, self._shared)

    def close(self) -> None:
        """Publish what is left, and leave nothing of one's own behind."""
        self.publish()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _forget_the_dead(self) -> None:
        """Remove folders that processes left which were killed."""
        for folder in self._shared.glob(f"{_PRIVATE}*"):
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > _DAY_S:
                    shutil.rmtree(folder, ignore_errors=True)


_opened: dict[int, CompilationCache] = {}
"""The cache of this process, by its number: a forked child is another."""


def enable() -> None:
    """Have JAX keep what it compiles, unless the user has decided about that.

    A folder that cannot be written to costs compilations, never a run.
    """
    if _opened or jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    try:
        cache = CompilationCache(shared_folder())
    except OSError as error:
        _LOG.info("compiled updates are not kept: %s", error)
        return
    _opened[os.getpid()] = cache
    atexit.register(_close)
    update = jax.config.update
    update("jax_compilation_cache_dir", str(cache.folder))  # type: ignore[no-untyped-call]
    # XLA's caches for GPUs stand inside the folder, and their path is part of every program's key,
    # on CPUs too (jax 0.10.2): what one process compiled no other folder's process would find.
    update("jax_persistent_cache_enable_xla_caches", "none")  # type: ignore[no-untyped-call]
    # By default what was compiled in less than a second is thrown away.
    update("jax_persistent_cache_min_compile_time_secs", 0.0)  # type: ignore[no-untyped-call]


def publish() -> None:
    """Give other processes what this one has compiled."""
    for cache in _opened.values():
        cache.publish()


def shared_folder() -> Path:
    """Return where processes on machines of this kind keep what they compile."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "roboyard", "jax", f"{version('jaxlib')}-{_machine()}")


def _machine() -> str:
    """Return a digest of what compiled code depends on; JAX's own key has none of it."""
    cores = str(len(os.sched_getaffinity(0)))
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        kinds = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
        cores += "".join(sorted(kinds))
    return hashlib.sha256(cores.encode()).hexdigest()[:12]


def _link_files(source: Path, target: Path) -> None:
    for file in source.iterdir():
        if file.is_file():
            with contextlib.suppress(FileExistsError):
                os.link(file, target / file.name)


def _close() -> None:
    cache = _opened.pop(os.getpid(), None)
    if cache is not None:
        cache.close()
