"""Several processes train what one process with all the environments trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from parallel_runs import in_processes, weights_of
from training_runs import rows, tiny_config, train

slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("algorithm", "overrides"),
    [
        ("PPO", ()),
        pytest.param("PPO", ("agent.hyperparameters.target_kl=1e-4",), marks=slow, id="PPO, KL"),
        pytest.param("PPO", ("agent.hyperparameters.use_sde=true",), marks=slow, id="PPO, gSDE"),
        pytest.param("A2C", ("agent.hyperparameters.normalize_advantage=true",), marks=slow),
        pytest.param("SAC", (), marks=slow),
        pytest.param("SAC", ("agent.hyperparameters.use_sde=true",), marks=slow, id="SAC, gSDE"),
        pytest.param("TD3", ("agent.hyperparameters.batch_size=15",), marks=slow, id="TD3, odd"),
    ],
)
def test_two_processes_make_the_steps_of_one(
    tmp_path: Path, algorithm: str, overrides: tuple[str, ...]
) -> None:
    config = tiny_config(tmp_path, algorithm, ("train.threads=1", *overrides))
    one = train(config, run_id="one").run_dir
    two = train(in_processes(2, config), run_id="two").run_dir
    ours, theirs = weights_of(one), weights_of(two)
    for name, weights in ours.items():
        assert (weights - theirs[name]).abs().max() <= 1e-6, name
    _assert_same_evaluations(one, two)
    assert [row["step"] for row in rows(one / "metrics.jsonl")] == [
        row["step"] for row in rows(two / "metrics.jsonl")
    ]


@pytest.mark.slow
def test_rank_zero_alone_writes(tmp_path: Path) -> None:
    config = in_processes(2, tiny_config(tmp_path, "A2C", ("train.total_steps=40",)))
    run = train(config, run_id="run").run_dir
    steps = [row["step"] for row in rows(run / "metrics.jsonl")]
    assert steps == sorted(set(steps))
    assert json.loads((run / "status.json").read_text())["state"] == "finished"


def _assert_same_evaluations(one: Path, two: Path) -> None:
    ours, theirs = (rows(run / "evaluations.jsonl") for run in (one, two))
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["step"] == other["step"]
        assert mine["returns"] == pytest.approx(other["returns"], rel=1e-4, abs=1e-4)
