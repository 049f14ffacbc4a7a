"""PPO's and SAC's updates on a CPU and on an accelerator, by learner and size of the networks.

    python benchmarks/accelerator.py --threads 4 --rounds 5

Each combination of learner (stable_baselines3's, ours on torch, ours with jax) and device runs in
a process of its own, one after the other. The environments have no physics; measured are the time
of an update per control step that it learns from (medians over rounds), and the time to act for 16
environments. Ratios are to the better of stable_baselines3's two devices.
What was measured is printed at once to the standard error, so that a run that is cut short is not
lost.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

from common import spread_threads

CASES = {
    "PPO, 2 x 256": ("PPO", "vector", [256, 256], 128),
    "PPO, 3 x 1024": ("PPO", "vector", [1024, 1024, 1024], 512),
    "PPO, CNN on 64 x 64": ("PPO", "image", [256], 256),
    "SAC, 400 + 300": ("SAC", "vector", [400, 300], 256),
    "SAC, 3 x 1024": ("SAC", "vector", [1024, 1024, 1024], 256),
    "SAC, CNN on 64 x 64": ("SAC", "image", [256], 128),
}
"""Algorithm, observations, hidden layers, minibatch."""
NUM_ENVS, N_STEPS, EPOCHS, GRADIENT_STEPS = 16, 64, 10, 16


def make_agent(case, backend, device):
    import stable_baselines3
    from gymnasium import spaces
    from pydantic import TypeAdapter
    from stable_baselines3.common.vec_env import DummyVecEnv

    from roboyard.agents.factory import build_agent
    from roboyard.config.agents import AgentConfig
    from roboyard.testing.fake_envs import FakeEnv

    algorithm, kind, layers, batch = CASES[case]
    observations = (
        spaces.Box(-10, 10, (28,)) if kind == "vector" else spaces.Box(0, 255, (64, 64, 3), "uint8")
    )
    actions = spaces.Box(-1, 1, (8,))
    hyperparameters = (
        {"n_steps": N_STEPS, "batch_size": batch, "n_epochs": EPOCHS}
        if algorithm == "PPO"
        else {
            "batch_size": batch,
            "buffer_size": 4096,
            "learning_starts": 512,
            "train_freq": 8,
            "gradient_steps": GRADIENT_STEPS,
        }
    )
    env = DummyVecEnv([lambda: FakeEnv(observations, actions)] * NUM_ENVS)
    if backend == "SB3":
        policy = "MlpPolicy" if kind == "vector" else "CnnPolicy"
        widths = {"net_arch": {"pi": layers, "vf" if algorithm == "PPO" else "qf": layers}}
        cls = getattr(stable_baselines3, algorithm)
        agent = cls(policy, env, policy_kwargs=widths, seed=0, device=device, **hyperparameters)
        return agent, batch
    config = TypeAdapter(AgentConfig).validate_python(
        {
            "algorithm": algorithm,
            "backend": backend,
            "hyperparameters": hyperparameters,
            "network": {"actor": layers, "critic": layers},
        }
    )
    return build_agent(config, env, seed=0, device=device), batch


def timed(function, rounds, synchronize):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(case, backend, device, rounds):
    """Return microseconds of an update per control step, and of acting once for all copies."""
    import torch

    agent, batch = make_agent(case, backend, device)
    torch.set_num_threads(spread_threads(agent, torch.get_num_threads()))
    off_policy = not hasattr(agent, "rollout_buffer")
    agent.learn(1024 if off_policy else NUM_ENVS * N_STEPS)  # warm-up; XLA compiles here
    synchronize = torch.cuda.synchronize if device == "cuda" and backend != "jax" else list
    if off_policy:
        update, steps = (lambda: agent.train(GRADIENT_STEPS, batch)), GRADIENT_STEPS
    else:
        update, steps = agent.train, NUM_ENVS * N_STEPS
    timed(update, 1, synchronize)
    observations = agent.env.reset()
    act_s = timed(lambda: agent.predict(observations), 20 * rounds, synchronize)
    return timed(update, rounds, synchronize) / steps * 1e6, act_s * 1e6


def child(backend, device, threads, rounds, cases):
    """Measure every case, and print one JSON line for each."""
    import torch

    for case in cases:
        torch.set_num_threads(threads)
        try:
            print(json.dumps([case, *measure(case, backend, device, rounds)]), flush=True)
        except Exception as error:  # a case that one backend lacks must not end the others
            print(f"{case} ({backend}, {device}): {error}", file=sys.stderr)


def available():
    """Return the combinations of backend and device of this machine."""
    import importlib.util

    import torch

    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    backends = ["SB3", "torch", *(["jax"] if importlib.util.find_spec("jax") else [])]
    return [(backend, device) for device in devices for backend in backends]


def describe():
    import torch

    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "no accelerator"
    cores = len(os.sched_getaffinity(0))
    return f"{platform.processor() or platform.machine()}, {cores} cores; {accelerator}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--devices", nargs="+", default=["cpu", "cuda"], choices=("cpu", "cuda"))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(*arguments.child, arguments.threads, arguments.rounds, arguments.cases)
    combinations = [pair for pair in available() if pair[1] in arguments.devices]
    found = {}
    for backend, device in combinations:
        command = [sys.executable, __file__, "--child", backend, device]
        command += ["--threads", str(arguments.threads), "--rounds", str(arguments.rounds)]
        command += ["--cases", *arguments.cases]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if line.startswith("["):
                    case, update, act = json.loads(line)
                    found[case, backend, device] = update, act
                    text = f"{case}, {backend}, {device}: {update:,.0f} + {act:,.0f} us"
                    print(text, file=sys.stderr, flush=True)
    print(f"{describe()}, {arguments.threads} threads\n")
    print("| case | " + " | ".join(f"{b}, {d}" for b, d in combinations) + " | best |")
    print("|---|" + "---|" * (len(combinations) + 1))
    for case in arguments.cases:
        row = {key: found.get((case, *key)) for key in combinations}
        cells = [f"{got[0]:,.0f} + {got[1]:,.0f}" if got else "-" for got in row.values()]
        known = {key: got[0] for key, got in row.items() if got}
        peers = [time for (backend, _), time in known.items() if backend == "SB3"]
        if peers:
            best = min(known, key=known.get)
            cells.append(f"{', '.join(best)}: {min(peers) / known[best]:.1f}x SB3's best")
        print(f"| {case} | " + " | ".join(cells) + " |")
    print("\nMicroseconds: an update per control step + acting once for 16 environments.")
    return None


if __name__ == "__main__":
    main()
