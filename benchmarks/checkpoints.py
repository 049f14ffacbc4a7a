"""What nothing lost costs: the time that checkpoints take, and the time to go on after a death.

    python benchmarks/checkpoints.py                     # both parts, some 50 minutes
    python benchmarks/checkpoints.py --part overhead --seconds 240 --rounds 2
    python benchmarks/checkpoints.py --part start --transitions 300000 --rounds 3

Overhead: the same training with checkpoints at the default interval and without, in turn. The
ratio of two trainings holds the machine's noise as well; the time for which training was held is
measured by itself, too. CPU time means something on a busy machine as well.

Start: from the start of the process to the first step after the checkpoint, with a full replay
buffer, from a local folder and from a bucket of an S3 server on this machine (moto's, which is
written in Python) without a local copy. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import numpy as np  # the variables above have to be set first
from stable_baselines3.common.callbacks import BaseCallback

from roboyard.config.load import load
from roboyard.config.schema import CheckpointConfig, ExperimentConfig
from roboyard.runs.supervisor import Child
from roboyard.storage import open_store
from roboyard.storage.mirror.push import Mirror
from roboyard.testing.faulty_s3 import FaultyS3
from roboyard.training.trainer import Trainer

ROOT = Path(__file__).parent.parent
PROGRAM = (sys.executable, "-c", "from roboyard.cli import main; main()")
SAC = {
    "algorithm": "SAC",
    "hyperparameters": {"buffer_size": 300_000, "learning_starts": 100, "batch_size": 256},
    "network": {"actor": [256, 256], "critic": [256, 256]},
}


def make_config(
    algorithm: str, store: Path, total_steps: int, transitions: int = 300_000
) -> ExperimentConfig:
    agent = json.loads(json.dumps(SAC))
    agent["hyperparameters"]["buffer_size"] = transitions
    base = load(ROOT / "configs" / "ant-run.yaml")
    sections = base.model_dump(mode="json")
    sections["env"] |= {"num_envs": 1} if algorithm == "SAC" else {"num_envs": 8}
    return load(
        sections
        | {
            "store": str(store),
            "agent": agent if algorithm == "SAC" else sections["agent"],
            "train": {"total_steps": total_steps, "threads": 1},
            "evaluation": {"during_training": False, "final_episodes": 1},
            "video": {"final": False},
        }
    )


class Stopwatch(BaseCallback):
    """Measures from the first step on, and stops after some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._began: tuple[float, float, int] | None = None
        self.wall = self.cpu = 0.0
        self.steps = 0

    def _on_step(self) -> bool:
        now = time.perf_counter(), time.process_time(), self.num_timesteps
        if self._began is None:
            self._began = now
        self.wall, self.cpu, self.steps = (a - b for a, b in zip(now, self._began, strict=True))
        return self.wall < self._seconds


def train_for(algorithm: str, seconds: float, checkpoints: bool) -> dict[str, float]:
    """Train for some seconds of wall-clock time; print figures as JSON. Runs in a child."""
    with tempfile.TemporaryDirectory() as folder:
        config = make_config(algorithm, Path(folder), 10_000_000)
        if not checkpoints:
            never = CheckpointConfig(every_minutes=1e6)
            config = config.model_copy(update={"checkpoint": never})
        watch = Stopwatch(seconds)
        result = Trainer(config, run_id="a", callbacks=[watch], progress=False).train()
        log = (result.run_dir / "train.log").read_text()
    words = [line.split() for line in log.splitlines() if " written in " in line]
    # The last one is the end's, after the measurement.
    held = [float(line[-2]) for line in words][:-1]
    return {
        "us": 1e6 * watch.wall / watch.steps,
        "cpu_us": 1e6 * watch.cpu / watch.steps,
        "held": sum(held) / watch.wall,
        "count": len(held),
    }


def overhead(algorithm: str, seconds: float, rounds: int) -> str:
    figures: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for number in range(rounds):
        for checkpoints in (True, False) if number % 2 else (False, True):
            order = ["--child", algorithm, str(seconds), str(int(checkpoints))]
            child = [sys.executable, __file__, *order]
            answer = subprocess.run(child, check=True, capture_output=True, text=True)
            figures[checkpoints].append(json.loads(answer.stdout.splitlines()[-1]))
    wall = ratios(figures, "us")
    cpu = ratios(figures, "cpu_us")
    held = [100 * each["held"] for each in figures[True]]
    count = statistics.median(each["count"] for each in figures[True])
    with_us, without_us = (
        statistics.median(each["us"] for each in figures[key]) for key in (True, False)
    )
    return (
        f"| {algorithm} | {with_us:.0f} | {without_us:.0f} | {spread(wall)} | {spread(cpu)} "
        f"| {count:.0f} | {spread(held, 2)} % |"
    )


def ratios(figures: dict[bool, list[dict[str, float]]], name: str) -> list[float]:
    pairs = zip(figures[True], figures[False], strict=True)
    return [with_it[name] / without[name] for with_it, without in pairs]


def spread(values: list[float], digits: int = 3) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


class Filled(BaseCallback):
    """Fills the replay buffer with random transitions, and asks to stop soon after."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def _on_training_start(self) -> None:
        buffer = self.model.replay_buffer
        generator = np.random.default_rng(0)
        for name in ("observations", "next_observations", "actions", "rewards"):
            rows = getattr(buffer, name)[: self._count]
            rows[...] = generator.normal(size=rows.shape)
        buffer.pos = self._count - 1000  # room for the steps that follow

    def _on_step(self) -> bool:
        if self.num_timesteps == 120:
            signal.raise_signal(signal.SIGTERM)
        return True


def start_times(transitions: int, rounds: int) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="roboyard-start-") as name, FaultyS3("bench") as s3:
        folder = Path(name)
        os.environ |= {**s3.environment, "ROBOYARD_CACHE": str(folder / "cache")}
        config = make_config("SAC", folder, 1_000_000, transitions)
        run = (
            Trainer(config, run_id="a", callbacks=[Filled(transitions)], progress=False)
            .train()
            .run_dir
        )
        size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
        uri = "s3://bench/runs/ant-run/a"
        Mirror(run, open_store(uri)).push()
        rows = []
        for place, source in (("local folder", str(run)), ("S3 server on this machine", uri)):
            wall, cpu = [], []
            for _ in range(rounds):
                seconds, busy = first_step(source)
                wall.append(seconds)
                cpu.append(busy)
                shutil.rmtree(folder / "cache", ignore_errors=True)
            rows.append(f"| {place} | {size / 1e6:.0f} | {spread(wall, 1)} | {spread(cpu, 1)} |")
    return rows


def first_step(source: str) -> tuple[float, float]:
    """Return wall-clock and CPU time until a continued run makes its first new step [s]."""
    start = time.perf_counter()
    with Child([*PROGRAM, "train", source, "--resume", "--quiet"], silent=True) as child:
        while child.step < 0 and child.process.poll() is None:
            time.sleep(0.01)
        seconds = time.perf_counter() - start
        if child.process.poll() is not None or child.step < 120:
            raise SystemExit(f"the run did not go on: {child.process.poll()}, step {child.step}")
        fields = Path(f"/proc/{child.process.pid}/stat").read_text().rpartition(")")[2].split()
        busy = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return seconds, busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=["overhead", "start", "all"], default="all")
    parser.add_argument("--seconds", type=float, default=240.0, help="length of one training")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--transitions", type=int, default=300_000)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        algorithm, seconds, checkpoints = options.child
        print(json.dumps(train_for(algorithm, float(seconds), checkpoints == "1")))
        return
    if options.part in ("overhead", "all"):
        print(
            "| ant-run | us a step, with | without | ratio | ratio of CPU time | checkpoints "
            "| training held |\n|---|---|---|---|---|---|---|",
            flush=True,
        )
        for algorithm in ("PPO", "SAC"):
            print(overhead(algorithm, options.seconds, options.rounds), flush=True)
        print()
    if options.part in ("start", "all"):
        print(
            f"| ant-run, SAC, {options.transitions:,} transitions | run [MB] "
            "| start to first new step [s] | CPU time [s] |\n|---|---|---|---|",
            flush=True,
        )
        print("\n".join(start_times(options.transitions, options.rounds)), flush=True)


if __name__ == "__main__":
    main()
