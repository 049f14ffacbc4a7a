"""Damaged descriptions: each is a robot that engines take, or one clear line; nothing else.

The damage is done in a child process, so that a crash or a hang of an engine is a failure.
"""

import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).parents[1] / "data" / "robots"
CHILD = Path(__file__).with_name("mutate_descriptions.py")


def run(examples: int, seconds: float) -> None:
    done = subprocess.run(
        [sys.executable, str(CHILD), str(CASES), str(examples)],
        capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"{examples} examples" in done.stdout


def test_damaged_descriptions_end_as_robots_or_as_clear_lines() -> None:
    run(100, 120)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_thousand_damaged_descriptions_end_as_robots_or_as_clear_lines() -> None:
    run(2000, 1700)
