"""Runs in several processes, and what is left of them."""

from __future__ import annotations

from pathlib import Path

import psutil
from safetensors.torch import load_file
from torch import Tensor
from training_runs import last_checkpoint

from roboyard.config.load import load, to_dict
from roboyard.config.schema import ExperimentConfig

_PROGRAM = "roboyard.training.data_parallel.follower"


def in_processes(workers: int, config: ExperimentConfig) -> ExperimentConfig:
    return load(to_dict(config), (f"train.data_parallel.workers={workers}",))


def weights_of(run: Path) -> dict[str, Tensor]:
    return load_file(last_checkpoint(run) / "policy.safetensors")


def followers_of(leader: int | None) -> list[psutil.Process]:
    """Followers of a process; of None, those of processes that are gone."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        arguments = process.info["cmdline"] or []
        if _PROGRAM not in arguments or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        parent = int(arguments[-1])
        if parent == leader or (leader is None and not psutil.pid_exists(parent)):
            found.append(process)
    return found
