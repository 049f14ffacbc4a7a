"""Step many copies of one environment: ours against SB3's and Gymnasium's vectorisations.

    python benchmarks/vectorization.py --env ant-run --num-envs 16 --rounds 7

Every vectorisation is built once; then, in each round, each of them in turn steps the same
actions from the same seeds. Printed are medians over rounds, ratios of the same round, and the
memory that each holds (proportional set size of its processes, and growth of this one). CPU time
is that of all processes together; unlike the rates, it means something on a busy machine, too.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import time
from functools import partial
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import gymnasium  # the variables above have to be set first
import numpy as np
import psutil
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from roboyard.config.schema import EnvConfig
from roboyard.envs.factory import make_env
from roboyard.envs.vector.shared_memory_vec_env import SharedMemoryVecEnv
from roboyard.resources import available_cores


def pss(pids):
    """Return the proportional set size of some processes [bytes]."""
    total = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def descendants():
    return {child.pid for child in psutil.Process().children(recursive=True)}


class Candidate:
    """One vectorisation, its processes and its figures."""

    def __init__(self, name, build):
        self.name = name
        gc.collect()
        processes, own = descendants(), pss([os.getpid()])
        start = time.perf_counter()
        self.env = build()
        self.env.reset()
        self.start_s = time.perf_counter() - start
        self.pids = descendants() - processes
        self.memory = pss(self.pids) + max(pss([os.getpid()]) - own, 0)
        self.rates = []
        self.cpu_costs = []

    def cpu_seconds(self):
        times = [psutil.Process(pid).cpu_times() for pid in (os.getpid(), *self.pids)]
        return sum(time.user + time.system for time in times)

    def run(self, actions):
        if isinstance(self.env, AsyncVectorEnv):
            self.env.reset(seed=1)
        else:
            self.env.seed(1)
            self.env.reset()
        for action in actions[:10]:
            self.env.step(action)
        env_steps = (len(actions) - 10) * actions.shape[1]
        cpu, start = self.cpu_seconds(), time.perf_counter()
        for action in actions[10:]:
            self.env.step(action)
        self.rates.append(env_steps / (time.perf_counter() - start))
        self.cpu_costs.append((self.cpu_seconds() - cpu) / env_steps)


def candidates(make, count, workers):
    """Yield every vectorisation, ours last."""
    makers = [make] * count
    yield Candidate("SB3 DummyVecEnv", lambda: DummyVecEnv(makers))
    yield Candidate("SB3 SubprocVecEnv", lambda: SubprocVecEnv(makers, start_method="forkserver"))
    yield Candidate(
        "Gymnasium AsyncVectorEnv",
        lambda: AsyncVectorEnv(
            makers,
            shared_memory=True,
            context="forkserver",
            autoreset_mode=AutoresetMode.SAME_STEP,
        ),
    )
    for number in workers:
        yield Candidate(
            f"Roboyard, {number} workers", lambda n=number: SharedMemoryVecEnv(makers, workers=n)
        )


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def table(results, count):
    """Return the Markdown table."""
    dummy = results[0]
    peers = [result for result in results if not result.name.startswith("Roboyard")]
    best = [max(rates) for rates in zip(*(peer.rates for peer in peers), strict=True)]
    cores = available_cores()
    rows = [
        f"| vectorisation | env steps/s | times best peer | times {cores} cores' ideal "
        "| CPU us per env step | MB per env | start [s] |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        ratios = [rate / peer for rate, peer in zip(result.rates, best, strict=True)]
        ideal = [rate / (cores * one) for rate, one in zip(result.rates, dummy.rates, strict=True)]
        cells = [
            result.name,
            f"{statistics.median(result.rates):.0f}",
            spread(ratios),
            spread(ideal),
            f"{statistics.median(result.cpu_costs) * 1e6:.0f}",
            f"{result.memory / count / 1e6:.0f}",
            f"{result.start_s:.1f}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def machine():
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    load = os.getloadavg()[0]
    return (
        f"{model}, {available_cores()} cores, Linux {platform.release()}, Python "
        f"{platform.python_version()}, gymnasium {gymnasium.__version__}, load at start {load:.1f}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="ant-run", help="as env.id in a config")
    parser.add_argument("--num-envs", type=int, default=16)
    parser.add_argument("--workers", type=int, nargs="+", default=[available_cores()])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=300, help="vectorised steps a round")
    options = parser.parse_args()
    description = machine()
    make = partial(make_env, EnvConfig(id=options.env))
    results = list(candidates(make, options.num_envs, options.workers))
    space = results[0].env.action_space
    space.seed(0)
    actions = np.array(
        [[space.sample() for _ in range(options.num_envs)] for _ in range(options.steps + 10)]
    )
    for _ in range(options.rounds):
        for result in results:
            result.run(actions)
    for result in results:
        result.env.close()
    print(f"{options.num_envs} copies of {options.env}, {options.rounds} rounds of ", end="")
    print(f"{options.steps} steps\n{description}\n\n{table(results, options.num_envs)}")


if __name__ == "__main__":
    main()
