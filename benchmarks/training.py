"""Train end to end: ours against rl_zoo3 with the same hyperparameters, steps and callbacks.

    python benchmarks/training.py --algorithm PPO --task hopper --steps 65536 --rounds 3
    python benchmarks/training.py --algorithm SAC --task hopper --steps 4000 --rounds 3
    python benchmarks/training.py --steps 24576 --rounds 1 --peers dummy:1 dummy:2    # quick

The peer is ``python -m rl_zoo3.train`` on pybullet_envs_gymnasium with the zoo's tuned
hyperparameters; ours is ``roboyard train`` with the same ones. Both run as commands of their own,
in turn, without evaluation, checkpoints on the way or video. Timed is the algorithm's ``learn``
from the end of the first update, in which ours records or compiles; a run of millions of steps has
hundreds of updates. Both are timed through the same hook; beside it are printed all of ``learn``,
the whole process, and the CPU time of ``learn`` in all processes. In the first round every
``--vec-env`` and thread setting of the peer runs, in the others only its best.

The zoo waits 10,000 steps before SAC and TD3 learn, 1 % of the run; here both wait ``--warmup``.
Its SAC keeps gSDE positive with ``expln`` where ours takes ``exp``, which costs the same.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from common import machine, spread, table

ROOT = Path(__file__).resolve().parent.parent
PEER_ENVS = {
    "hopper": "HopperBulletEnv-v0",
    "ant": "AntBulletEnv-v0",
    "halfcheetah": "HalfCheetahBulletEnv-v0",
    "walker2d": "Walker2DBulletEnv-v0",
}
HOOK = """
import importlib, runpy, sys, time
import psutil
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
def cpu():
    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return sum(each.user + each.system for each in times)
def marked(agent, marks):
    train = agent.train
    def wrapped(*args, **kwargs):
        result = train(*args, **kwargs)
        if len(marks) == 1:
            marks.append((agent.num_timesteps, time.perf_counter(), cpu()))
        return result
    return wrapped
for cls in (OnPolicyAlgorithm, OffPolicyAlgorithm):
    def learn(self, *args, _learn=cls.learn, **kwargs):
        marks, before = [(0, time.perf_counter(), cpu())], dict(vars(self))
        self.train = marked(self, marks)
        try:
            result = _learn(self, *args, **kwargs)
        finally:
            del self.train  # not to be saved
            if "train" in before:
                self.train = before["train"]
        marks.append((self.num_timesteps, time.perf_counter(), cpu()))
        print("LEARNT", *(number for mark in marks for number in mark), file=sys.stderr, flush=True)
        return result
    cls.learn = learn
sys.argv = sys.argv[1:]
module, _, function = sys.argv[0].partition(":")
if function:
    getattr(importlib.import_module(module), function)()
else:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
SAC = {
    "learning_rate": 7.3e-4,
    "buffer_size": 300_000,
    "batch_size": 256,
    "ent_coef": "auto",
    "gamma": 0.98,
    "tau": 0.02,
    "train_freq": 8,
    "gradient_steps": 8,
    "use_sde": True,
}
TD3 = {
    "learning_rate": 7e-4,
    "buffer_size": 200_000,
    "batch_size": 256,
    "gamma": 0.98,
    "train_freq": 1,
    "gradient_steps": 1,
}


def off_policy_config(algorithm, task):
    """Return the zoo's tuned hyperparameters as a config of ours."""
    values = dict(SAC if algorithm == "SAC" else TD3)
    network = {"actor": [400, 300], "critic": [400, 300]}
    if algorithm == "SAC":
        network["log_std_init"] = -3
        if task in ("hopper", "walker2d"):
            values["learning_rate"] = {"type": "linear", "start": 7.3e-4}
    agent = {"algorithm": algorithm, "hyperparameters": values, "network": network}
    if algorithm == "TD3":
        agent["action_noise"] = {"type": "normal", "sigma": 0.1}
    return {
        "name": f"{task}-{algorithm.lower()}",
        "seed": 0,
        "env": {"id": f"{task}-run"},
        "agent": agent,
        "train": {"total_steps": 1_000_000},
    }


class Ours:
    """``roboyard train``."""

    def __init__(self, options, backend, threads, device):
        self.name = f"Roboyard, {backend}, threads {threads}, {device}"
        self._device = device
        self._options = options
        self._backend = backend
        self._threads = threads

    def command(self, folder):
        options = self._options
        config = ROOT / "configs" / f"{options.task}-run.yaml"
        if options.algorithm != "PPO":
            config = folder / "config.yaml"
            config.write_text(yaml.safe_dump(off_policy_config(options.algorithm, options.task)))
        settings = {
            "store": str(folder),
            "train.total_steps": options.steps,
            "train.threads": self._threads,
            "train.device": self._device,
            "evaluation.during_training": "false",
            "evaluation.final_episodes": 1,
            "video.final": "false",
            "checkpoint.every_steps": 100_000_000,
        }
        if options.algorithm != "PPO":
            settings["agent.hyperparameters.learning_starts"] = options.warmup
            # A two-hundredth of the zoo's run, not of the few steps here: a row takes milliseconds.
            settings["tracking.every_steps"] = 5000
        settings["agent.backend"] = self._backend
        arguments = [f"{key}={value}" for key, value in settings.items()]
        sets = [part for argument in arguments for part in ("--set", argument)]
        return ["roboyard.cli:main", "train", str(config), *sets]


class Peer:
    """rl_zoo3."""

    def __init__(self, options, vec_env, threads, device):
        self.name = f"rl_zoo3, --vec-env {vec_env}, --num-threads {threads}, {device}"
        self._device = device
        self._options = options
        self._vec_env = vec_env
        self._threads = threads

    def command(self, folder):
        options = self._options
        command = ["rl_zoo3.train", "--algo", options.algorithm.lower()]
        command += ["--env", PEER_ENVS[options.task], "--gym-packages", "pybullet_envs_gymnasium"]
        command += ["--n-timesteps", str(options.steps), "--vec-env", self._vec_env]
        command += ["--num-threads", str(self._threads), "--device", self._device, "--seed", "0"]
        command += ["--eval-freq", "-1", "--save-freq", "-1", "-f", str(folder), "--verbose", "0"]
        if options.algorithm != "PPO":
            command += ["--hyperparams", f"learning_starts:{options.warmup}"]
        return command


def run(candidate):
    """Return steps/s after the first update, of ``learn``, of the process, and CPU [us/step]."""
    # What is set for this process must not decide how many threads theirs or ours take.
    unset = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-W", "ignore", "-c", HOOK]
        command += candidate.command(Path(scratch))
        start = time.perf_counter()
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        whole = time.perf_counter() - start
    marks = [line.split() for line in done.stderr.splitlines() if line.startswith("LEARNT ")]
    if done.returncode or not marks:
        sys.exit(f"{candidate.name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    numbers = np.array(marks[-1][1:], dtype=float).reshape(-1, 3)
    start, first, end = numbers[0], numbers[1], numbers[-1]
    steps, seconds, cpu = end - first
    if not steps:
        sys.exit("--steps is too small: there are none after the first update. Take twice as many.")
    all_steps, all_seconds, _ = end - start
    return steps / seconds, all_steps / all_seconds, all_steps / whole, cpu / steps * 1e6


def measure(options):
    """Return every candidate's rates by round."""
    peers = [
        Peer(options, *setting.split(":"), device)
        for device in options.devices
        for setting in options.peers
    ]
    ours = [
        Ours(options, backend, threads, device)
        for device in options.devices
        for backend in options.backends
        for threads in options.threads
    ]
    results = {candidate.name: [] for candidate in (*peers, *ours)}
    best = peers
    for number in range(options.rounds):
        for candidate in (*best, *ours):
            results[candidate.name].append(run(candidate))
            rate, _, whole, _ = results[candidate.name][-1]
            text = (
                f"round {number + 1}, {candidate.name}: {rate:.0f} steps/s, {whole:.0f} with start"
            )
            print(text, file=sys.stderr, flush=True)
        best = [max(peers, key=lambda peer: results[peer.name][0][0])]
    return results, best[0].name, [candidate.name for candidate in ours]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--algorithm", default="PPO", choices=["PPO", "SAC", "TD3"])
    parser.add_argument("--task", default="hopper", choices=sorted(PEER_ENVS))
    parser.add_argument("--backends", nargs="+", default=["torch", "jax"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="control steps; a rollout of PPO has 8192")
    parser.add_argument("--warmup", type=int, default=500, help="learning_starts of SAC and TD3")
    parser.add_argument("--threads", nargs="+", default=["auto"], help="of ours")
    parser.add_argument("--devices", nargs="+", default=["cpu"], choices=["cpu", "cuda"])
    cores = len(os.sched_getaffinity(0))
    settings = [f"{kind}:{n}" for kind in ("dummy", "subproc") for n in dict.fromkeys((1, cores))]
    parser.add_argument("--peers", nargs="+", default=settings, help="--vec-env:--num-threads")
    options = parser.parse_args()
    options.steps = options.steps or (32_768 if options.algorithm == "PPO" else 3000)
    packages = ("torch", "stable_baselines3", "rl_zoo3", "pybullet", "pybullet_envs_gymnasium")
    description = machine(*packages, *(("jax",) if "jax" in options.backends else ()))
    results, best, ours = measure(options)
    peer = results[best]
    rows = []
    for name, rates in results.items():
        ratios = "-"
        if name in ours:
            pairs = zip(rates, peer, strict=True)
            ratios = spread([rate / other for (rate, *_), (other, *_) in pairs])
        medians = [f"{statistics.median(column):.0f}" for column in zip(*rates, strict=True)]
        rows.append([name, len(rates), *medians, ratios])
    print(f"{options.algorithm} {options.task}-run, {options.steps} steps\n{description}\n")
    header = ["", "rounds", "steps/s", "with first update", "with start", "CPU [us/step]"]
    print(table([*header, "times best peer"], rows))


if __name__ == "__main__":
    main()
