"""A process that trains what the leader tells it to, and leaves nothing behind.

It is also a program, which the leader of a run on one machine starts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from roboyard.agents.backends import set_up_learner
from roboyard.config.schema import ExperimentConfig
from roboyard.envs.vector.shared_memory.parent_death import die_with_starter
from roboyard.errors import RoboyardError
from roboyard.training.checkpoints.parts import EnvironmentsPart
from roboyard.training.checkpoints.store import FoundCheckpoint, load_parts
from roboyard.training.data_parallel.group import Group, PeerLostError, process_group
from roboyard.training.data_parallel.launch import check_launched
from roboyard.training.data_parallel.shared_vec_env import SharedVecEnv
from roboyard.training.envs.stack import base_envs
from roboyard.training.result import TrainResult


class _EndOfRun(Exception):  # noqa: N818 - a message, not an error
    """The leader has sent the others home."""


def follow_as_told(config: ExperimentConfig) -> TrainResult:
    """Follow in a process that torchrun or Ray Train started.

    Raises:
        ConfigError: The launcher started another number of processes.
        PeerLostError: The leader, or another process, is gone.
    """
    check_launched(config)
    settings = config.train.data_parallel
    with process_group(int(os.environ["RANK"]), settings.workers, "env://", settings.timeout_s):
        steps = follow(Group(int(os.environ["RANK"]), settings.workers))
    return TrainResult(Path(config.store), steps, "finished", "the leading process has ended")


def follow(group: Group) -> int:
    """Train what the leader says until it says that the run ends; return the steps done."""
    from roboyard.training.resources import open_learner

    # Ctrl-C and SIGTERM reach all processes; when to stop is the leader's decision.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    message = group.listen()
    assert message is not None
    _, config, infos = message
    with contextlib.ExitStack() as stack:
        config, algorithm, _ = open_learner(config, stack, infos, group)
        algorithm.set_logger(Logger(None, []))
        callback = _Following(group, config)
        with contextlib.suppress(_EndOfRun):
            algorithm.learn(config.train.total_steps, callback=callback, log_interval=None)  # type: ignore[arg-type]
            callback.obey()
        return algorithm.num_timesteps


class _Following(BaseCallback):
    """Does at each boundary what the leader says, until it lets the others go on."""

    def __init__(self, group: Group, config: ExperimentConfig) -> None:
        super().__init__()
        self._group = group
        self._config = config

    def obey(self) -> None:
        """Do as told.

        Raises:
            _EndOfRun: The run has ended.
        """
        while (message := self._group.listen()) is not None:
            kind, *rest = message
            if kind == "end":
                raise _EndOfRun
            if kind == "restore":
                self._restore(*rest)
            else:
                assert self.model.env is not None
                venv = base_envs(self.model.env)
                assert isinstance(venv, SharedVecEnv)
                venv.call(*rest)

    def _restore(self, found: FoundCheckpoint, problem: str) -> None:
        from roboyard.training.resources import go_on, make_learner_parts

        assert self.model.env is not None
        if self._config.train.threads == "auto":
            set_up_learner(self.model, found.manifest.threads)
            torch.set_num_threads(found.manifest.threads)
        parts = make_learner_parts(self.model, self.model.env)
        # The copies themselves are back, by the leader's calls.
        environments = parts.pop("environments")
        assert isinstance(environments, EnvironmentsPart)
        environments.problem = problem
        load_parts(parts, found)
        go_on(self._config, self.model, environments, found)

    def _on_rollout_start(self) -> None:
        self.obey()

    def _on_step(self) -> bool:
        return True


def main(rank: int, workers: int, method: str, timeout_s: float, parent: int) -> int:
    """Follow the process ``parent``, and die when it does."""
    die_with_starter()
    if os.getppid() != parent:
        return 1  # it died before that
    try:
        with process_group(rank, workers, method, timeout_s):
            follow(Group(rank, workers))
    except PeerLostError:
        return 1  # the leader says so
    except RoboyardError as error:
        print(f"process {rank}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(
        main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), int(sys.argv[5]))
    )
