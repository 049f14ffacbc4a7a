"""From an experiment's file to its runs, without starting anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tuning_studies import Study

from roboyard.errors import ConfigError
from roboyard.tuning.experiment import ledger_of, planned
from roboyard.tuning.experiment_record import LEDGER


def ids(path: Path) -> list[str]:
    return [run.run_id for run in planned(path).runs]


def test_every_variant_has_every_seed(study: Study) -> None:
    path = study("seeds: {count: 2, start: 5}\nvariants: {a: {}, b: {train.total_steps: 640}}")
    assert ids(path) == ["a-s5", "a-s6", "b-s5", "b-s6"]
    last = planned(path).runs[-1].config
    assert (last.train.total_steps, last.seed, last.name) == (640, 6, "study")


def test_a_grid_is_every_combination_and_a_zip_goes_side_by_side(study: Study) -> None:
    grid = "grid: {agent.hyperparameters.n_epochs: [1, 2], agent.hyperparameters.gamma: [0.9]}"
    both = "zip: {train.total_steps: [640, 1280], evaluation.every_steps: [320, 640]}"
    found = ids(study(f"{grid}\n{both}"))
    assert found == [
        f"n_epochs_{n}-gamma_0.9-total_steps_{t}-every_steps_{e}-s0"
        for n in (1, 2)
        for t, e in ((640, 320), (1280, 640))
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seeds: []", "seeds is empty"),
        ("seeds: [1, 1]", "one seed twice"),
        ("sedes: [1]", "Did you mean 'seeds'"),
        ("variants: {a: {agent.hyperparameters.gama: 0.9}}", "variant 'a'.*gamma"),
        ("variants: {a: {seed: 3}}", "'seed' is the experiment's"),
        ("zip: {train.total_steps: [1, 2], seed: [1]}", "equally long"),
        ("grid: {train.total_steps: []}", "grid.train.total_steps"),
        ("grid: {train.total_steps: [640]}\nvariants: {a: {train.total_steps: 1}}", "one of them"),
        ("resources: {cpus: 0}", "resources.cpus"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(study: Study, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        ledger_of(study(text))
    assert not Path("runs").exists()


def test_the_record_in_the_store_is_all_that_is_needed(study: Study, tmp_path: Path) -> None:
    recorded = ledger_of(study("seeds: [0, 1]"))
    (tmp_path / "study.yaml").unlink()
    (tmp_path / "base.yaml").unlink()
    again = ledger_of(tmp_path / "runs" / "study")
    assert again == recorded


def test_seeds_and_variants_may_be_added(study: Study) -> None:
    ledger_of(study("seeds: [0]"))
    ledger_of(study("seeds: [0, 1]"))
    assert [run.run_id for run in ledger_of("runs/study").runs] == ["default-s0", "default-s1"]


def test_a_name_that_another_experiment_has_is_refused(study: Study) -> None:
    ledger_of(study("seeds: [0]"))
    before = Path("runs/study", LEDGER).read_text()
    with pytest.raises(ConfigError, match=r"taken by another.*gamma = 0.99 there and 0.5 here"):
        ledger_of(study("seeds: [0]\nvariants: {default: {agent.hyperparameters.gamma: 0.5}}"))
    assert Path("runs/study", LEDGER).read_text() == before


def test_a_name_that_has_ordinary_runs_is_refused(study: Study) -> None:
    run = Path("runs/study/20260101-120000")
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("name: study\n")
    with pytest.raises(ConfigError, match=r"name 'study' is taken.*20260101-120000"):
        ledger_of(study("seeds: [0]"))


def test_a_place_without_a_record_is_no_experiment(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not an experiment"):
        ledger_of(tmp_path)


def test_a_record_that_is_torn_is_said_to_be(study: Study) -> None:
    ledger_of(study("seeds: [0]"))
    path = Path("runs/study", LEDGER)
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record)[:100])
    with pytest.raises(Exception, match="cannot be read"):
        ledger_of("runs/study")


def test_a_record_keeps_references_to_secrets(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOOR_TOKEN", "s3cr3t-t0k3n")
    ledger = ledger_of(
        study("seeds: [0]\nvariants: {default: {env.kwargs.token: '${env:DOOR_TOKEN}'}}")
    )
    assert ledger.runs[0].config.env.kwargs["token"] == "s3cr3t-t0k3n"
    text = Path("runs/study", LEDGER).read_text()
    assert "s3cr3t" not in text and "${env:DOOR_TOKEN}" in text
    assert ledger_of("runs/study").runs[0].config == ledger.runs[0].config
