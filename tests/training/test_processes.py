"""A run uses the threads that it says, and its processes end with it."""

from __future__ import annotations

import itertools
import json
import os
import select
import subprocess
import sys

import pytest

CONFIG = """
name: tiny
env: {{id: roboyard/SimpleRobot-v0, num_envs: 4, workers: 2}}
agent:
  algorithm: PPO
  backend: torch
  hyperparameters: {{n_steps: 64, batch_size: 256, n_epochs: 40}}
  network: {{actor: [512, 512], critic: [512, 512]}}
train: {{total_steps: 1_000_000, threads: {threads}}}
evaluation: {{during_training: false, episodes: 1, final_episodes: 1, num_envs: 1}}
video: {{final: false}}
"""
TRAIN = """
import json
from pathlib import Path
from roboyard.config.load import load
from roboyard.training.callbacks import RunCallback
from roboyard.training.trainer import Trainer

def seconds(task):
    fields = (task / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])  # in user and in kernel mode

class Watch(RunCallback):
    def on_boundary(self, boundary):
        pids = self.model.env.unwrapped.worker_pids
        found = {
            "pids": pids,
            "workers": [len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids],
            "own": {task.name: seconds(task) for task in Path("/proc/self/task").iterdir()},
        }
        if boundary.step > 0:
            print("FOUND", json.dumps(found), flush=True)

Trainer(load("tiny.yaml"), run_id="a", callbacks=[Watch()], progress=False).train()
"""


def started(folder, **settings):
    """Start a training in a process that no variable tells how many threads to use."""
    (folder / "tiny.yaml").write_text(CONFIG.format(**settings))
    variables = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN], cwd=folder, stdout=subprocess.PIPE, env=variables, text=True
    )


def findings(process):
    for line in process.stdout:
        if line.startswith("FOUND "):
            yield json.loads(line.removeprefix("FOUND "))


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_no_more_threads_work_than_were_asked_for(tmp_path, threads):
    with started(tmp_path, threads=threads) as process:
        first, _, last = itertools.islice(findings(process), 3)
        process.kill()
    assert last["workers"] == [1, 1]
    spent = [ticks - first["own"].get(task, 0) for task, ticks in last["own"].items()]
    assert max(spent) > 0
    assert sum(ticks > 0.2 * max(spent) for ticks in spent) <= threads, spent
    log = (tmp_path / "runs" / "tiny" / "a" / "train.log").read_text()
    assert "on cpu (" in log
    assert f"), {threads} " in log


def shared_memory():
    """Return its segments; semaphores, of which ours have none, may be another test's."""
    return sorted(name for name in os.listdir("/dev/shm") if not name.startswith("sem."))


def test_a_killed_training_leaves_neither_processes_nor_shared_memory(tmp_path):
    segments = shared_memory()
    with started(tmp_path, threads=1) as process:
        workers = [os.pidfd_open(pid) for pid in next(findings(process))["pids"]]
        process.kill()
    assert len(workers) == 2
    for worker in workers:
        assert select.select([worker], [], [], 5.0)[0], "a worker outlived the training"
        os.close(worker)
    assert shared_memory() == segments
