"""A run's weights do not depend on how many of its networks learn at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_runs import fingerprint, kill_at, tiny_config, train

TWO = ("train.threads=2",)


@pytest.mark.parametrize("algorithm", ["PPO", "SAC"])
def test_one_thread_and_two_give_the_same_run(algorithm: str, tmp_path: Path) -> None:
    one = train(tiny_config(tmp_path, algorithm, ("train.threads=1",)), run_id="one")
    two = train(tiny_config(tmp_path, algorithm, TWO), run_id="two")
    assert fingerprint(Path(one.run_dir)) == fingerprint(Path(two.run_dir))


@pytest.mark.slow
def test_a_run_in_two_lanes_that_is_killed_ends_as_one_left_in_peace(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "SAC", TWO)
    whole = train(config, run_id="whole")
    kill_at(config, "killed", 110)
    again = train(config, resume_from=tmp_path / "tiny" / "killed")
    assert fingerprint(Path(again.run_dir)) == fingerprint(Path(whole.run_dir))
