"""A lost process ends the run with one line, and the run continues exactly."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
from parallel_runs import followers_of, in_processes
from stable_baselines3.common.callbacks import BaseCallback
from training_runs import fingerprint, kill_at, run_path, tiny_config, train

from roboyard.errors import TrainingError


class KillFollowerAt(BaseCallback):
    """Kills the other process in the middle of a rollout."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def _on_step(self) -> bool:
        if self.model.num_timesteps >= self._step:
            for follower in followers_of(os.getpid()):
                follower.kill()
        return True


def test_a_killed_follower_ends_the_run_with_one_line(tmp_path: Path) -> None:
    config = in_processes(2, tiny_config(tmp_path, "PPO"))
    with pytest.raises(TrainingError) as caught:
        train(config, run_id="run", callbacks=[KillFollowerAt(100)])
    text = str(caught.value)
    assert "process 1 (pid" in text
    assert "ended by SIGKILL" in text
    assert "--resume" in text
    assert "\n" not in text
    assert followers_of(os.getpid()) == []


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["PPO", "A2C", "SAC", "TD3"])
def test_a_run_continues_exactly_after_a_lost_follower(tmp_path: Path, algorithm: str) -> None:
    config = in_processes(2, tiny_config(tmp_path, algorithm))
    undisturbed = train(config, run_id="undisturbed").run_dir
    with pytest.raises(TrainingError):
        train(config, run_id="run", callbacks=[KillFollowerAt(100)])
    run = train(config, resume_from=run_path(config, "run")).run_dir
    assert fingerprint(run) == fingerprint(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["PPO", "A2C", "SAC", "TD3"])
@pytest.mark.parametrize("step", [100, -100], ids=["rollout", "checkpoint"])
def test_a_run_continues_exactly_after_the_death_of_all(
    tmp_path: Path, algorithm: str, step: int
) -> None:
    config = in_processes(2, tiny_config(tmp_path, algorithm))
    undisturbed = train(config, run_id="undisturbed").run_dir
    kill_at(config, "run", step)
    psutil.wait_procs(followers_of(None), timeout=30)
    assert followers_of(None) == []
    run = train(config, resume_from=run_path(config, "run")).run_dir
    assert fingerprint(run) == fingerprint(undisturbed)


@pytest.mark.slow
def test_a_frozen_follower_ends_the_run(tmp_path: Path) -> None:
    class Freeze(KillFollowerAt):
        def _on_step(self) -> bool:
            if self.model.num_timesteps >= self._step:
                for follower in followers_of(os.getpid()):
                    follower.send_signal(signal.SIGSTOP)
            return True

    config = tiny_config(tmp_path, "PPO", ("train.data_parallel.timeout_s=20",))
    with pytest.raises(TrainingError, match="does not answer"):
        train(in_processes(2, config), run_id="run", callbacks=[Freeze(100)])
    assert followers_of(os.getpid()) == []
