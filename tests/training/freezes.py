"""A training process that freezes at a chosen moment, in a process of its own."""

from __future__ import annotations

import functools
import importlib
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.process import BaseProcess

from roboyard.config.schema import ExperimentConfig

LEASE_S = 1.0

PHASES = {
    "rollout": ("roboyard.envs.simple:SimpleRobotEnv.step", 40),
    "update": ("roboyard.agents.fast.ppo:PPO.train", 2),
    "evaluation": ("roboyard.evaluation.evaluator:Evaluator.evaluate", 2),
    "metrics row": ("roboyard.tracking.files:AppendFile.append", 5),
    "best policy": ("roboyard.policies.bundle.manifest:write_archive", 1),
    "checkpoint": ("roboyard.training.checkpoints.store:describe_files", 2),
    "checkpoint's rename": ("roboyard.training.checkpoints.store:CheckpointStore._put_in_place", 2),
    "upload": ("roboyard.storage.mirror.push:Mirror._send", 6),
    "final policies": ("roboyard.training.finalize:complete_bundle", 1),
    "final evaluation": ("roboyard.training.finalize:add_final_evaluation", 1),
    "publishing": ("roboyard.runs.ownership:publish_once", 1),
    "report": ("roboyard.training.finalize:_report", 1),
}
"""Function at whose start to freeze, and at which of its calls."""


def freeze_at(function: str, call: int) -> None:
    """Stop this process when a function is called for the n-th time."""
    module, _, path = function.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    original, calls = getattr(owner, name), [0]

    @functools.wraps(original)
    def frozen(*args: object, **kwargs: object) -> object:
        calls[0] += 1
        if calls[0] == call:
            os.kill(os.getpid(), signal.SIGSTOP)
        return original(*args, **kwargs)

    setattr(owner, name, frozen)


def _train(config: ExperimentConfig, phase: str, environment: dict[str, str], log: str) -> None:
    os.environ.update(environment)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 2)
    from roboyard.cli.train import _warnings_shown
    from roboyard.errors import RoboyardError
    from roboyard.training.trainer import Trainer

    freeze_at(*PHASES[phase])
    try:
        with _warnings_shown():
            Trainer(config, run_id="a", progress=False).train()
    except RoboyardError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def start_frozen(config: ExperimentConfig, phase: str, log: str) -> BaseProcess:
    """Start a run and return its process once that is frozen."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["roboyard.training.trainer", "roboyard.cli.train"])
    process = context.Process(target=_train, args=(config, phase, dict(os.environ), log))
    process.start()
    deadline = time.monotonic() + 60
    while state_of(process.pid) != "T":
        assert process.is_alive(), f"it ended with {process.exitcode} before"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def state_of(pid: int | None) -> str:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"
