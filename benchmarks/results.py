"""Train configs over several seeds and print the table of ``docs/results.md``.

    python benchmarks/results.py configs/cartpole*.yaml --seeds 0 1 2

The return is that of the best policy of each run, over its final evaluation: episodes with
seeds other than those by which the policy was chosen.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import roboyard
from roboyard.config.load import load
from roboyard.evaluation.result import EvaluationResult


def row(path: Path, seed: int, store: str, threads: int) -> str:
    config = load(
        path, [f"seed={seed}", f"store={store}", "video.final=false", f"train.threads={threads}"]
    )
    start = time.perf_counter()
    result = roboyard.Trainer(config, progress=False).train()
    minutes = (time.perf_counter() - start) / 60
    measured = result.evaluation
    return (
        f"| `{path.name}` | {config.agent.algorithm} | {seed} | {result.steps:,} | "
        f"{measured.mean:.1f} ± {measured.std:.1f} | {min(measured.returns):.0f} | "
        f"{', '.join(others(measured))} | {minutes:.1f} |"
    )


def others(measured: EvaluationResult) -> list[str]:
    """Return what the task reports beside the return."""
    found = [f"{name} {value:.3g}" for name, value in measured.mean_metrics.items()]
    if measured.success_rate is not None:
        found.insert(0, f"success {measured.success_rate:.0%}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="+", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    print("| config | algorithm | seed | steps | return | worst episode | also | minutes |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as store:
        for path in arguments.configs:
            for seed in arguments.seeds:
                print(row(path, seed, store, arguments.threads), flush=True)


if __name__ == "__main__":
    main()
