"""The learner alone: an update of SB3, ours on torch, SBX, and ours compiled by JAX, in turn.

    python benchmarks/learner.py --threads 1 --rounds 7
    python benchmarks/learner.py --only ppo --device cuda --width 1024

Networks, batches and hyperparameters are those that RL Baselines3 Zoo publishes for hopper (PPO:
rollout of 8192, 20 epochs of batches of 128, two networks of 256 x 256, gSDE; SAC and TD3:
batches of 256, networks of 400 x 300, 8 gradient steps a call). Data are random, and the same for
all. Each builds its agent once and warms up; then, in each round, each in turn updates. Printed
are medians over rounds, and ratios of the same round. CPU time is that of all threads together;
unlike the wall clock, it means something on a busy machine, too.
"""

# ruff: noqa: E402  (the options set how many threads the libraries start with)
from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
import warnings
from pathlib import Path

ARGUMENTS = argparse.ArgumentParser(description=__doc__)
ARGUMENTS.add_argument("--only", choices=("ppo", "sac", "td3"), help="one algorithm")
ARGUMENTS.add_argument("--threads", type=int, default=1, help="for torch and for XLA")
ARGUMENTS.add_argument("--rounds", type=int, default=7)
ARGUMENTS.add_argument("--observations", type=int, default=15)
ARGUMENTS.add_argument("--actions", type=int, default=3)
ARGUMENTS.add_argument("--width", type=int, help="of every hidden layer, instead of the zoo's")
ARGUMENTS.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
ARGUMENTS.add_argument("--no-sbx", action="store_true", help="leave SBX out")
OPTIONS = ARGUMENTS.parse_args()
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(OPTIONS.threads)))

import numpy as np
import stable_baselines3 as sb3
import torch
from gymnasium.spaces import Box
from pydantic import TypeAdapter
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv

from roboyard.agents import build_agent
from roboyard.agents.jax import runtime
from roboyard.config.agents import AgentConfig
from roboyard.testing.fake_envs import FakeEnv

runtime.start(OPTIONS.threads, OPTIONS.device == "cuda")
if not OPTIONS.no_sbx:
    import flax.linen as nn
    import sbx  # starts JAX

STEPS = 8
"""Gradient steps of an off-policy update."""
ROLLOUT = (512, 16)
PPO = {
    "learning_rate": 3e-5, "n_steps": ROLLOUT[0], "batch_size": 128, "n_epochs": 20, "gamma": 0.99,
    "gae_lambda": 0.9, "clip_range": 0.4, "ent_coef": 0.0, "vf_coef": 0.5, "max_grad_norm": 0.5,
    "use_sde": True, "sde_sample_freq": 4,
}  # fmt: skip
OFF_POLICY = {
    "learning_rate": 7.3e-4, "buffer_size": 20_000, "batch_size": 256, "gamma": 0.98, "tau": 0.02,
    "train_freq": STEPS, "gradient_steps": STEPS, "learning_starts": 100,
}  # fmt: skip
CASES = {
    "ppo": ("PPO", PPO, [256, 256], {"log_std_init": -2.0}),
    "sac": ("SAC", {**OFF_POLICY, "ent_coef": "auto", "use_sde": True}, [400, 300], {}),
    "td3": ("TD3", OFF_POLICY, [400, 300], {}),
}


def envs(count):
    limit = np.ones(OPTIONS.actions, np.float32)
    spaces = Box(-10.0, 10.0, (OPTIONS.observations,), np.float32), Box(-limit, limit)
    return DummyVecEnv([lambda: FakeEnv(*spaces)] * count)


class Candidate:
    """One implementation and its figures."""

    def __init__(self, name, build, count, filled):
        self.name = name
        self.agent = build(envs(count))
        self.agent.set_logger(Logger(None, []))
        self.on_policy = hasattr(self.agent, "rollout_buffer")
        train, self.agent.train = self.agent.train, lambda *_, **__: None
        self.agent.learn(filled)  # fills the buffer, and only that
        self.agent.train = train
        self.units = filled if self.on_policy else STEPS
        self.wall, self.cpu = [], []
        self.threads = OPTIONS.threads
        torch.set_num_threads(self.threads)
        self.update()
        torch.set_num_threads(OPTIONS.threads)  # those of the next one that is built

    def update(self):
        arguments = () if self.on_policy else (STEPS, self.agent.batch_size)
        self.agent.train(*arguments)
        if OPTIONS.device == "cuda":
            torch.cuda.synchronize()

    def run(self):
        torch.set_num_threads(self.threads)
        wall, cpu = time.perf_counter(), time.process_time()
        self.update()
        self.wall.append((time.perf_counter() - wall) / self.units)
        self.cpu.append((time.process_time() - cpu) / self.units)


def candidates(case):
    """Yield every implementation of a case, SB3 first."""
    name, hyperparameters, widths, policy = CASES[case]
    widths = [OPTIONS.width] * len(widths) if OPTIONS.width else widths
    count, filled = (ROLLOUT[1], ROLLOUT[0] * ROLLOUT[1]) if case == "ppo" else (1, 2_000)
    architecture = {"pi": widths, "vf" if case == "ppo" else "qf": widths}
    known = {"net_arch": architecture, "ortho_init": False, **policy}
    peers = known if case == "ppo" else {"net_arch": architecture}

    def peer(library, activation, **more):
        settings = {**peers, "activation_fn": activation}
        return lambda env: getattr(library, name)(
            "MlpPolicy", env, policy_kwargs=settings, seed=0, **hyperparameters, **more
        )

    def ours(backend):
        network = {"actor": widths, "critic": widths, "activation": "relu", **policy}
        if case == "ppo":
            network["init"] = "torch"
        own = {key: value for key, value in hyperparameters.items() if key != "device"}
        record = {"algorithm": name, "backend": backend, "hyperparameters": own}
        config = TypeAdapter(AgentConfig).validate_python({**record, "network": network})
        return lambda env: build_agent(config, env, seed=0, device=OPTIONS.device)

    yield Candidate("SB3", peer(sb3, torch.nn.ReLU, device=OPTIONS.device), count, filled)
    yield Candidate("Roboyard, torch", ours("torch"), count, filled)
    if not OPTIONS.no_sbx:
        yield Candidate("SBX", peer(sbx, nn.relu), count, filled)
    yield Candidate("Roboyard, jax", ours("jax"), count, filled)


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def table(results, unit):
    first = results[0]
    rows = [
        f"| learner | us per {unit} | CPU us per {unit} | times SB3 | times SB3, CPU time |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        ratios = [a / b for a, b in zip(first.wall, result.wall, strict=True)]
        by_cpu = [a / b for a, b in zip(first.cpu, result.cpu, strict=True)]
        median = statistics.median
        cells = [result.name, f"{median(result.wall) * 1e6:.0f}", f"{median(result.cpu) * 1e6:.0f}"]
        rows.append(f"| {' | '.join([*cells, spread(ratios), spread(by_cpu)])} |")
    return "\n".join(rows)


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line for line in lines if line.startswith("model name")), ":")
    device = f", {torch.cuda.get_device_name()}" if OPTIONS.device == "cuda" else ""
    peer = "" if OPTIONS.no_sbx else f"SBX {sbx.__version__}, "
    return (
        f"{model.split(':')[1].strip() or platform.processor()}{device}, {OPTIONS.threads} threads,"
        f" Python {platform.python_version()}, torch {torch.__version__}, SB3 {sb3.__version__}, "
        f"{peer}load at start {os.getloadavg()[0]:.1f}"
    )


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(OPTIONS.threads)
    print(machine())
    for case in [OPTIONS.only] if OPTIONS.only else CASES:
        results = list(candidates(case))
        for _ in range(OPTIONS.rounds):
            for result in results:
                result.run()
        unit = "environment step" if case == "ppo" else "gradient step"
        print(f"\n{CASES[case][0]}, {OPTIONS.rounds} rounds\n\n{table(results, unit)}", flush=True)


if __name__ == "__main__":
    main()
