"""A signal to the whole process group still ends with a good checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from training_runs import run_path, tiny_config

from roboyard.runs.directory import RunDirectory
from roboyard.training.checkpoints.store import CheckpointStore, CheckpointSubject


def test_sigterm_to_trainer_and_workers_alike_ends_with_a_checkpoint(tmp_path: Path) -> None:
    script = f"""
        import os, signal, sys
        sys.path[:0] = [{str(Path(__file__).parent)!r}]
        from pathlib import Path
        from training_runs import *

        class SignalAll(BaseCallback):  # as a scheduler does, which knows every process of a job
            def _on_step(self):
                if self.num_timesteps == 70:
                    workers = self.model.get_env().unwrapped.worker_pids
                    assert len(workers) == 2
                    for process in (*workers, os.getpid()):
                        os.kill(process, signal.SIGTERM)
                return True

        config = tiny_config(Path({str(tmp_path)!r}), overrides=("env.workers=2",))
        sys.exit(train(config, run_id="a", callbacks=[SignalAll()]).exit_code)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 75, done.stderr
    run = RunDirectory(run_path(tiny_config(tmp_path), "a"))
    status = run.read_status()
    assert (status.state, status.reason) == ("interrupted", signal.SIGTERM.name)
    store = CheckpointStore(run.checkpoints, CheckpointSubject("PPO", "roboyard/SimpleRobot-v0"))
    assert store.newest_good().manifest.step == status.last_checkpoint == 96
