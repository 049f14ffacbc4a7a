"""Starting the processes of a run, or finding oneself one of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import torch.distributed as dist

from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError
from roboyard.resources import available_cores
from roboyard.runs.variables import variables_set
from roboyard.training.data_parallel.group import Group, process_group

_VARIABLES: Final = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun, and Ray Train, tell the processes that they start."""
_EXIT_S: Final = 5.0
"""How long a process may take to end once its work is done or its connections are gone [s]."""


def is_started_by_launcher() -> bool:
    """Return whether torchrun or Ray Train started this process as one of several."""
    return all(name in os.environ for name in _VARIABLES)


def is_follower() -> bool:
    """Return whether another process of a launcher's leads."""
    return is_started_by_launcher() and int(os.environ["RANK"]) > 0


@contextlib.contextmanager
def leading(config: ExperimentConfig) -> Iterator[Group | None]:
    """Have the followers that a config asks for, none of which outlives the body.

    Yields:
        The group, or None where one process is enough.

    Raises:
        ConfigError: There are not as many processes, or cores, as the config asks for.
    """
    settings = config.train.data_parallel
    if is_started_by_launcher():
        check_launched(config)
        with process_group(0, settings.workers, "env://", settings.timeout_s):
            yield Group(0, settings.workers) if settings.workers > 1 else None
    elif settings.workers == 1:
        yield None
    else:
        with _started(settings.workers, settings.timeout_s) as group:
            yield group


def check_launched(config: ExperimentConfig) -> None:
    """Refuse another number of workers than the launcher has started.

    Raises:
        ConfigError: The numbers differ.
    """
    wanted, found = config.train.data_parallel.workers, int(os.environ["WORLD_SIZE"])
    if wanted != found:
        raise ConfigError(
            f"train.data_parallel.workers is {wanted}, but this is one of {found} processes that a "
            f"launcher started. Use --set train.data_parallel.workers={found}."
        )


@contextlib.contextmanager
def _started(workers: int, timeout_s: float) -> Iterator[Group]:
    cores = available_cores()
    if workers > cores:
        raise ConfigError(
            f"train.data_parallel.workers is {workers}, but this process may use {cores} cores. "
            f"Use at most {cores}."
        )
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="roboyard-group-"))
        method = (Path(folder) / "meeting").as_uri()
        followers = [_start(rank, workers, method, timeout_s) for rank in range(1, workers)]
        stack.callback(_end, followers)
        with variables_set(_LOOPBACK), process_group(0, workers, method, timeout_s):
            yield Group(0, workers, lambda: _who_is_lost(followers))


def _start(rank: int, workers: int, method: str, timeout_s: float) -> subprocess.Popen[bytes]:
    arguments = (str(rank), str(workers), method, str(timeout_s), str(os.getpid()))
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return subprocess.Popen(
        [sys.executable, "-m", "roboyard.training.data_parallel.follower", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path, **_LOOPBACK},
    )


_LOOPBACK: Final = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
"""Keeps the exchange of processes on one machine from the network."""


def _end(followers: Sequence[subprocess.Popen[bytes]]) -> None:
    for follower in followers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            follower.wait(0.0 if dist.is_initialized() else _EXIT_S)
        follower.kill()
        follower.wait()


def _who_is_lost(followers: Sequence[subprocess.Popen[bytes]]) -> str:
    """Say which process is gone, and how it ended."""
    for rank, follower in enumerate(followers, start=1):
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = follower.wait(_EXIT_S)
            how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
            return f"process {rank} (pid {follower.pid}), which ended {how},"
    return "a process that does not answer,"
