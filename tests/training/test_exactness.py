"""What differs where a run is continued is named, and nothing is called exact unchecked."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from training_runs import ALGORITHMS, last_checkpoint, tiny_config, train

from roboyard.agents.factory import build_agent
from roboyard.runs import provenance
from roboyard.runs.directory import RunDirectory
from roboyard.training.checkpoints.manifest import CheckpointManifest
from roboyard.training.checkpoints.parts.callbacks import own_names
from roboyard.training.envs.stack import make_training_envs
from roboyard.training.exactness import ExactnessCallback, differences
from roboyard.training.repetition import RepetitionCallback

HERE = CheckpointManifest(step=0, algorithm="PPO", environment="e", files={})


def changed_versions(**versions: str) -> CheckpointManifest:
    return dataclasses.replace(HERE, versions={**HERE.versions, **versions})


def test_the_same_installation_differs_in_nothing(tmp_path: Path) -> None:
    assert differences(HERE, tiny_config(tmp_path)) == []


@pytest.mark.parametrize("library", ["torch", "numpy", "gymnasium", "pybullet", "roboyard"])
def test_another_version_of_a_library_is_named(tmp_path: Path, library: str) -> None:
    (text,) = differences(changed_versions(**{library: "0.1"}), tiny_config(tmp_path))
    assert text == f"{library} was 0.1 and is {HERE.versions[library]}"


def test_libraries_that_a_run_does_not_use_are_left_out(tmp_path: Path) -> None:
    other = changed_versions(**{"jax": "0.1", "sb3-contrib": "0.1"})
    assert differences(other, tiny_config(tmp_path)) == []
    assert len(differences(other, tiny_config(tmp_path, "TQC", backend="jax"))) == 2


def test_only_the_last_part_of_pythons_version_does_not_matter(tmp_path: Path) -> None:
    major_minor = ".".join(HERE.versions["python"].split(".")[:2])
    assert differences(changed_versions(python=f"{major_minor}.99"), tiny_config(tmp_path)) == []
    assert differences(changed_versions(python="3.9.1"), tiny_config(tmp_path))


def test_other_threads_and_processors_are_named(tmp_path: Path) -> None:
    host = {**HERE.host, "kernels": f"{HERE.host['kernels']} amx_tile_of_tomorrow"}
    other = dataclasses.replace(HERE, threads=97, host=host)
    processor, threads = differences(other, tiny_config(tmp_path))
    assert "without amx_tile_of_tomorrow" in processor
    assert threads.startswith("torch had 97 threads and has ")


def test_a_processor_without_the_kernels_is_told_apart() -> None:
    # Torch chooses by this variable as it does by the processor.
    code = "from roboyard.runs.provenance import host_facts; print(host_facts()['kernels'])"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ATEN_CPU_CAPABILITY": "default"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.split()[-1] == "torch:DEFAULT"


def test_a_run_continued_by_another_library_version_is_not_called_exact(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, overrides=("train.total_steps=96", "checkpoint.every_steps=32"))
    first = train(config, run_id="a", callbacks=[_StopAt(64)])
    path = last_checkpoint(first.run_dir) / "MANIFEST.json"
    manifest = json.loads(path.read_text())
    manifest["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(manifest))
    run = train(config, resume_from=first.run_dir).run_dir
    assert json.loads((last_checkpoint(run) / "MANIFEST.json").read_text())["exact"] is False
    (note,) = RunDirectory(run).read_status().notes
    assert note.startswith("not exact, because torch was 1.0 and is ")
    part = json.loads((run / "provenance.json").read_text())["segments"][-1]
    assert (part["exact"], part["not_exact_because"]) == (False, [note])
    assert (run / "train.log").read_text().count("torch was 1.0") == 1


def test_a_run_that_was_not_checked_is_not_called_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roboyard.training.repetition.SHORTEST", 10**6)
    config = tiny_config(tmp_path, overrides=("train.total_steps=96", "checkpoint.every_steps=32"))
    first = train(config, run_id="a", callbacks=[_StopAt(64)])
    run = train(config, resume_from=first.run_dir).run_dir
    (note,) = RunDirectory(run).read_status().notes
    assert note == "not exact, because no stretch of it was repeated before it was interrupted"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_libraries_set_every_attribute_of_their_algorithms(tmp_path: Path, algorithm: str) -> None:
    config = tiny_config(tmp_path, algorithm)
    venv = make_training_envs(config)
    try:
        assert own_names(build_agent(config.agent, venv, seed=0)) == set()
    finally:
        venv.close()


def test_callbacks_inside_callbacks_are_looked_at(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    venv = make_training_envs(config)
    try:
        algorithm = build_agent(config.agent, venv, seed=0)
        exactness = ExactnessCallback(config, algorithm, RepetitionCallback(venv, config.env, 0))
        counter = _Counter()
        exactness.callbacks = [CallbackList([counter])]
        exactness.begin()
        counter.count += 1
        exactness.save(tmp_path)
    finally:
        venv.close()
    assert any("_Counter' changes its attributes (count)" in note for note in exactness.notes)


def test_a_checkout_that_git_takes_too_long_for_has_no_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "GIT_TIMEOUT_S", 1e-9)
    assert provenance._revision_of(tmp_path / "..") is None


class _Counter(BaseCallback):
    count = 0

    def _on_step(self) -> bool:
        return True


class _StopAt(BaseCallback):
    """Interrupts the run as a signal does."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def _on_step(self) -> bool:
        if self.num_timesteps == self.step:
            os.kill(os.getpid(), signal.SIGTERM)
        return True


def test_first_weights_do_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    wide = ("agent.network={actor: [128, 128], critic: [128, 128]}",)
    config = tiny_config(tmp_path, overrides=wide)
    threads, weights = torch.get_num_threads(), []
    venv = make_training_envs(config)
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            agent = build_agent(config.agent, venv, seed=0)
            assert torch.get_num_threads() == count
            weights.append([parameter.clone() for parameter in agent.policy.parameters()])
    finally:
        torch.set_num_threads(threads)
        venv.close()
    assert all(torch.equal(one, two) for one, two in zip(*weights, strict=True))
