"""Processes that a launcher starts train the run that a plain command trains."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest
from parallel_runs import in_processes
from training_runs import fingerprint, run_path, tiny_config, train

from roboyard.config.load import to_yaml
from roboyard.training.device import choose_device, resolve_backend

SPACE = gymnasium.spaces.Box(-1.0, 1.0, (3,))


@pytest.mark.slow
def test_torchrun_trains_the_same_run_bit_for_bit(tmp_path: Path) -> None:
    config = in_processes(2, tiny_config(tmp_path, "PPO", ("train.threads=1",)))
    plain = train(config, run_id="plain").run_dir
    file = tmp_path / "config.yaml"
    file.write_text(to_yaml(config))
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = [sys.executable, *launcher, "-m", "roboyard", "train", str(file), "--run-id", "run"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert fingerprint(run_path(config, "run")) == fingerprint(plain)
    assert output.count("Finished after") == 1


def test_auto_chooses_torch_and_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("jax")
    overrides = ("train.data_parallel.workers=2", "agent.backend=auto")
    config = tiny_config(tmp_path, "PPO", overrides)
    with caplog.at_level("INFO"):
        assert resolve_backend(config, SPACE).agent.backend == "torch"
    assert "jax trains in one process" in caplog.text
    assert choose_device(config, SPACE).device == "cpu"
