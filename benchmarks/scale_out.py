"""Train one run in several processes: control steps per second against one process.

    python benchmarks/scale_out.py --config configs/ant-run.yaml --workers 2 --rounds 5

In each round every candidate trains the same few rollouts, updates included, after one that is not
counted: one process that steps all environments itself, one process with as many worker processes
for its environments, and processes that share environments and minibatches. Printed are medians
over rounds with the lowest and the highest, and the ratio to the first candidate in the same round.
The first uses as many learner threads as ``train.threads: auto`` gives it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time

from roboyard.config.load import load
from roboyard.training.callbacks import RunCallback
from roboyard.training.trainer import Trainer

ENDLESS = 10**9


class Laps(RunCallback):
    """Notes when each boundary is reached."""

    reads_all_infos = False

    def __init__(self):
        super().__init__()
        self.marks = []

    def on_boundary(self, boundary):
        if not boundary.final:
            self.marks.append((boundary.step, time.perf_counter()))


def steps_per_s(source, n_steps, rollouts, overrides):
    """Return the control steps per second of some rollouts with their updates, after a first."""
    with tempfile.TemporaryDirectory() as store:
        common = (
            f"store={store}",
            f"agent.hyperparameters.n_steps={n_steps}",
            "evaluation.during_training=false",
            "evaluation.final_episodes=1",
            f"checkpoint.every_steps={ENDLESS}",
            "video.final=false",
            "tracking.tensorboard=false",
        )
        num_envs = load(source).env.num_envs
        total = n_steps * num_envs * (rollouts + 2)
        laps = Laps()
        config = load(source, (*common, f"train.total_steps={total}", *overrides))
        Trainer(config, callbacks=(laps,), progress=False).train()
    (start, began), (end, ended) = laps.marks[1], laps.marks[-1]
    return (end - start) / (ended - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/ant-run.yaml")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--n-steps", type=int, default=128, help="control steps of a rollout")
    parser.add_argument("--rollouts", type=int, default=2, help="rollouts that are timed")
    arguments = parser.parse_args()
    workers = arguments.workers
    candidates = {
        "one process": ("env.workers=0",),
        f"one process, {workers} for environments": (f"env.workers={workers}",),
        f"{workers} processes": ("env.workers=0", f"train.data_parallel.workers={workers}"),
    }
    speeds = {name: [] for name in candidates}
    for _ in range(arguments.rounds):
        for name, overrides in candidates.items():
            speed = steps_per_s(arguments.config, arguments.n_steps, arguments.rollouts, overrides)
            speeds[name].append(speed)
    first = speeds["one process"]
    for name, found in speeds.items():
        ratios = [a / b for a, b in zip(found, first, strict=True)]
        print(
            f"{name:36} {statistics.median(found):8.0f} steps/s ({min(found):.0f} to "
            f"{max(found):.0f}), {statistics.median(ratios):.2f} times one process "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
