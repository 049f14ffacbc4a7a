"""Threads of a learner: what a run does with them, and what it leaves as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from training_runs import fingerprint, kill_at, tiny_config, train

from roboyard.training.checkpoints.manifest import read_manifest


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_run_on_two_threads_that_is_killed_ends_as_one_left_in_peace(
    backend: str, tmp_path: Path
) -> None:
    config = tiny_config(tmp_path, "SAC", ("train.threads=2", f"agent.backend={backend}"))
    whole = train(config, run_id="whole")
    kill_at(config, "killed", 110)
    again = train(config, resume_from=tmp_path / "tiny" / "killed")
    assert fingerprint(Path(again.run_dir)) == fingerprint(Path(whole.run_dir))


class Threads(BaseCallback):
    """Notes the threads of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: set[int] = set()

    def _on_step(self) -> bool:
        self.counts.add(torch.get_num_threads())
        return True


def test_a_checkpoint_names_the_learners_threads_while_acting_takes_one(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    threads = Threads()
    config = tiny_config(tmp_path, "A2C", ("train.threads=3",))
    result = train(config, callbacks=[threads])
    assert torch.get_num_threads() == before
    manifests = [read_manifest(path) for path in Path(result.run_dir, "checkpoints").glob("[0-9]*")]
    assert manifests
    assert {manifest.threads for manifest in manifests} == {3}
    assert threads.counts == {1}
