"""The page on a robot of one's own is true: its commands run, its files are those that ship."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "your-own-robot"
PAGE = (ROOT / "docs" / "your-own-robot.md").read_text()

SHORT = {
    "train": (
        "--set", "train.total_steps=128", "--set", "env.num_envs=2", "--set", "env.workers=0",
        "--set", "agent.hyperparameters.n_steps=32", "--set", "agent.hyperparameters.batch_size=32",
        "--set", "train.threads=1", "--set", "video.final=false",
        "--set", "evaluation.final_episodes=1", "--set", "evaluation.during_training=false",
    ),
    "play": ("--max-steps", "6", "--size", "64x48"),
}  # fmt: skip
"""What makes a command of the page quick."""


def test_the_page_shows_the_files_that_ship() -> None:
    blocks = [block.strip() for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    files = ("robot.yaml", "task.yaml", "train.yaml")
    assert blocks == [(EXAMPLE / name).read_text().strip() for name in files]


def test_every_command_of_the_page_does_what_it_says(roboyard, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    lines = re.findall(r"^\$ roboyard (.*)$", PAGE, re.MULTILINE)
    assert len(lines) == 7
    printed = {}
    for line in lines:
        run = next((tmp_path / "runs" / "balancer").glob("*"), Path("RUN"))
        arguments = shlex.split(line.replace("runs/balancer/RUN", str(run)))
        outcome = roboyard(*arguments, *SHORT.get(arguments[0], ()))
        assert outcome.code == 0, f"{line}: {outcome.err}"
        printed[line] = outcome.out
    warning = re.search(r"^warning: .*$", PAGE, re.MULTILINE)
    assert warning
    assert warning[0] in printed[lines[0]]
    assert "nothing suspicious" in printed[lines[1]]
    assert "asked.forward" in printed[lines[2]]
    (policy,) = (tmp_path / "runs" / "balancer").glob("*/policy/best.zip")
    assert policy.stat().st_size > 0
    for name in ("balancer.png", "balancer.mp4"):
        assert (tmp_path / name).stat().st_size > 0
