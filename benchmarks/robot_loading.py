"""How long robots take to load: as models, against the engine's own reader of files.

``python benchmarks/robot_loading.py [FILE ...]``; without files, robots of PyBullet's data.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from roboyard.robots import load_robot
from roboyard.robots.robot import load_bodies
from roboyard.sim import data_path, open_world

ROBOTS = (
    "a1/a1.urdf", "aliengo/urdf/aliengo.urdf", "cartpole.urdf", "franka_panda/panda.urdf",
    "husky/husky.urdf", "kuka_iiwa/model.urdf", "laikago/laikago_toes.urdf",
    "mini_cheetah/mini_cheetah.urdf", "racecar/racecar.urdf", "xarm/xarm6_robot.urdf",
)  # fmt: skip


def seconds(file: Path, compat: bool) -> float:
    """Return how long one loading takes [s]."""
    spec = load_robot({
        "file": str(file), "compat": compat, "actuators": [{"joints": ["*"]}],
    })  # fmt: skip
    with open_world() as world:
        start = time.perf_counter()
        load_bodies(world, spec)
        return time.perf_counter() - start


def main() -> None:
    """Print a table: first and best loading of each robot, in ms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{'robot':28}{'engine first':>14}{'best':>8}{'model first':>14}{'best':>8}{'ratio':>8}")
    for file in options.files or [data_path() / name for name in ROBOTS]:
        rounds = [(seconds(file, True), seconds(file, False)) for _ in range(options.rounds)]
        first, best = rounds[0], tuple(min(column) for column in zip(*rounds, strict=True))
        numbers = (first[0], best[0], first[1], best[1])
        widths = zip(numbers, (14, 8, 14, 8), strict=True)
        row = "".join(f"{value * 1000:{width}.1f}" for value, width in widths)
        print(f"{file.stem:28}{row}{best[1] / best[0]:8.2f}", flush=True)


if __name__ == "__main__":
    main()
