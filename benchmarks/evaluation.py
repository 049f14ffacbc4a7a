"""Evaluate a policy over 100 episodes: ours against SB3's evaluate_policy.

    python benchmarks/evaluation.py --task halfcheetah --rounds 5
    python benchmarks/evaluation.py --rounds 1 --steps 100 --episodes 40    # quick

Both evaluate the same untrained policy of the task's config, deterministically, on the same
environment: theirs on one copy, as its callback does by default, ours on ``--num-envs`` copies in
workers. Episodes are cut after ``--steps``. The second row starts its workers anew each time, as
``roboyard evaluate`` does; the first keeps them, as a training run does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import torch
from common import machine, spread, table
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from roboyard.agents import build_agent
from roboyard.config.load import load
from roboyard.envs.factory import make_env
from roboyard.evaluation.evaluator import Evaluator

ROOT = Path(__file__).resolve().parent.parent


class Theirs:
    """SB3's evaluate_policy with one environment."""

    name = "SB3 evaluate_policy, 1 environment"

    def __init__(self, config, options):
        self._env = DummyVecEnv([lambda: Monitor(make_env(config.env))])
        self._episodes = options.episodes

    def run(self, policy):
        _, lengths = evaluate_policy(
            policy, self._env, self._episodes, return_episode_rewards=True, warn=False
        )
        return sum(lengths)


class Ours:
    """The Evaluator, with its workers kept from one evaluation to the next or not."""

    def __init__(self, config, options, *, keeps):
        self.name = f"Roboyard, {options.num_envs} environments"
        self.name += "" if keeps else ", start included"
        self._evaluator = Evaluator(
            config.env, episodes=options.episodes, num_envs=options.num_envs, workers="auto"
        )
        self._keeps = keeps
        if keeps:
            self._evaluator.observation_space  # noqa: B018  (starts the workers)

    def run(self, policy):
        result = self._evaluator.evaluate(policy)
        if not self._keeps:
            self._evaluator.close()
        return sum(result.lengths)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", default="halfcheetah", help="its config is configs/TASK-run.yaml")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--num-envs", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=250, help="longest episode")
    options = parser.parse_args()
    torch.set_num_threads(1)
    description = machine("torch", "stable_baselines3", "pybullet")
    config = load(
        ROOT / "configs" / f"{options.task}-run.yaml",
        [f"env.max_episode_steps={options.steps}", "env.workers=auto"],
    )
    one = DummyVecEnv([lambda: make_env(config.env)])
    policy = build_agent(config.agent, one, seed=0).policy
    candidates = [Theirs(config, options)]
    candidates += [Ours(config, options, keeps=keeps) for keeps in (True, False)]
    seconds = {candidate.name: [] for candidate in candidates}
    steps = {}
    for _ in range(options.rounds):
        for candidate in candidates:
            start = time.perf_counter()
            steps[candidate.name] = candidate.run(policy)
            seconds[candidate.name].append(time.perf_counter() - start)
    peer = seconds[candidates[0].name]
    rows = []
    for name, times in seconds.items():
        # Start states differ, and with them lengths: compared is the time of a step.
        costs = [time_ / steps[name] for time_ in times]
        others = [time_ / steps[candidates[0].name] for time_ in peer]
        ratios = [other / cost for cost, other in zip(costs, others, strict=True)]
        rate = steps[name] / statistics.median(times)
        rows.append([name, f"{statistics.median(times):.1f}", f"{rate:.0f}", spread(ratios)])
    print(f"{options.episodes} episodes of {options.task}-run, {options.rounds} rounds")
    print(f"{description}\n")
    print(table(["", "s", "steps/s", "times SB3"], rows))


if __name__ == "__main__":
    main()
