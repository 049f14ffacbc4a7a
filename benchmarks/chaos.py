"""Kill runs of every algorithm on every kind of environment, and see that nothing is lost.

    python benchmarks/chaos.py                       # everything, 10 deaths each
    python benchmarks/chaos.py --only "SAC|HER" --deaths 3 --faults kill,disk,notice,s3
    python benchmarks/chaos.py --only SimpleRobot --faults kill,freeze,corrupt
    python benchmarks/chaos.py --only "^(PPO|SAC) on Simple" --each-write 1

Each case is trained twice: in peace, and with its process group killed at seeded random moments,
some of them inside a checkpoint write, or struck by whatever else ``--faults`` names. Both have to
end with the same weights, metrics and evaluations, bit for bit. Prints a Markdown table; ends with
exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

from roboyard.config.load import to_yaml
from roboyard.errors import RoboyardError
from roboyard.testing.chaos import ChaosReport, FaultSchedule, Machine, run_chaos, train_command
from roboyard.testing.chaos.cases import list_cases, make_case
from roboyard.testing.chaos.each_write import kill_at_each_write

PROGRAM = (sys.executable, "-c", "from roboyard.cli import main; main()")
COLUMNS = (
    "run", "faults", "inside a write", "steps", "done twice", "time lost [s]", "written [MB]",
    "weights", "metrics", "evaluations",
)  # fmt: skip


def run_case(case: str, schedule: FaultSchedule, steps: int | None) -> ChaosReport:
    with tempfile.TemporaryDirectory(prefix="roboyard-chaos-") as name:
        folder = Path(name)
        config = make_case(case, steps)
        path = folder / "config.yaml"
        path.write_text(to_yaml(config))
        with Machine(folder / "runs", schedule.faults, schedule.seed) as machine:
            settings = [*schedule.settings, *machine.settings]
            command = train_command(PROGRAM, path, config.name, settings)
            return run_chaos(command, config.name, machine, schedule)


def kill_each_write(case: str, every: int) -> bool:
    """Kill a run of 200 steps after each of its writes, in turn; return whether nothing differs."""
    config = make_case(case, 200)
    agent = config.agent.model_dump(mode="json")
    agent["hyperparameters"] |= {"n_steps": 32, "batch_size": 32} if "PPO" in case else {}
    changes = {
        "agent": type(config.agent).model_validate(agent),
        "checkpoint": config.checkpoint.model_copy(update={"every_steps": 64}),
        "env": config.env.model_copy(update={"workers": 0}),
    }
    with tempfile.TemporaryDirectory(prefix="roboyard-chaos-") as folder:
        report = kill_at_each_write(
            config.model_copy(update=changes), Path(folder), every=every, tell=print
        )
    print(
        f"{case}: {report.points} writes; killed after {len(report.kills)} of them; "
        f"{len(report.different)} different",
        flush=True,
    )
    return report.is_identical


def row(case: str, report: ChaosReport) -> str:
    def same(is_same: bool) -> str:
        return "identical" if is_same else "**DIFFERENT**"

    cells = (
        case,
        ", ".join(f"{count} {fault}" for fault, count in sorted(report.faults.items())),
        str(report.inside_writes),
        f"{report.steps:,}",
        f"{report.steps_repeated:,}",
        f"{report.lost_s:.0f} of {report.killed_s:.0f}",
        f"{report.killed_bytes / 1e6:.1f} / {report.whole_bytes / 1e6:.1f}",
        same(report.same_weights),
        same(report.same_metrics),
        same(report.same_evaluations),
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="regular expression that a case has to fit")
    parser.add_argument("--deaths", type=int, default=10)
    parser.add_argument("--kills", default="poisson:0.7s")
    parser.add_argument("--faults", default="kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument(
        "--each-write", type=int, default=0, metavar="N",
        help="kill runs of 200 steps after every N-th write in turn instead (1: all)",
    )  # fmt: skip
    options = parser.parse_args()
    if options.each_write:
        cases = list(filter(re.compile(options.only).search, list_cases()))
        same = [kill_each_write(case, options.each_write) for case in cases]
        raise SystemExit(not all(same))
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    failed = False
    for number, case in enumerate(filter(re.compile(options.only).search, list_cases())):
        schedule = FaultSchedule.parse(
            options.kills, faults=options.faults, most=options.deaths, seed=options.seed + number
        )
        try:
            report = run_case(case, schedule, options.steps)
        except RoboyardError as error:
            failed = True
            print(f"| {case} | failed: {error} |", flush=True)
            continue
        failed |= not report.is_identical
        print(row(case, report), flush=True)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
