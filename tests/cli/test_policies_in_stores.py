"""A run that lives in a bucket is looked at, measured, shown, exported and served from there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

import roboyard as package
from roboyard.errors import PolicyError, StorageError
from roboyard.policies import PolicyBundle, load_policy
from roboyard.policies.bundle.locate import find_bundle
from roboyard.policies.runtime.policy import RuntimePolicy
from roboyard.storage import open_store
from roboyard.testing.faulty_s3 import FaultyS3

URI = "s3://bucket/runs/tiny/r1"
OBSERVATION = np.zeros((1, 4), np.float32)


@pytest.fixture(scope="module")
def bucket(tiny_config: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyS3]:
    """Return a server whose bucket holds one trained run."""
    config = yaml.safe_load(tiny_config) | {"store": "s3://bucket/runs"}
    with FaultyS3("bucket") as server, pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_PROFILE", raising=False)
        for name, value in server.environment.items():
            patch.setenv(name, value)
        patch.setenv("ROBOYARD_CACHE", str(tmp_path_factory.mktemp("cache")))
        package.train(config, run_id="r1")
        yield server


def test_a_policy_is_loaded_from_its_run_or_by_itself(bucket: FaultyS3) -> None:
    assert find_bundle(URI) == find_bundle(f"{URI}/") == f"{URI}/policy/best.zip"
    assert find_bundle(URI, "last") == f"{URI}/policy/last.zip"
    of_run = load_policy(URI).predict(OBSERVATION).actions
    assert np.array_equal(of_run, load_policy(f"{URI}/policy/best.zip").predict(OBSERVATION)[0])
    served = RuntimePolicy.open(f"{URI}/policy/best.zip").act(OBSERVATION).actions
    assert np.allclose(of_run, served, atol=1e-5)
    assert PolicyBundle.read(find_bundle(URI)).config.name == "tiny"


def test_evaluation_needs_the_address_and_nothing_else(bucket: FaultyS3, roboyard) -> None:
    done = roboyard("evaluate", URI, "-n", "2", "--num-envs", "1")
    assert done.code == 0, done.err
    assert f"{URI}/policy/best.zip" in done.out
    mean = package.evaluate(f"{URI}/policy/best.zip", episodes=2, num_envs=1).mean
    assert f"{mean:.2f}" in done.out


def test_play_records_a_policy_in_a_store(bucket: FaultyS3, roboyard, tmp_path: Path) -> None:
    done = roboyard("play", URI, "--video", "a.mp4", "--max-steps", "5", "--which", "last")
    assert done.code == 0, done.err
    assert (tmp_path / "a.mp4").stat().st_size > 1000


def test_show_verify_and_diff_read_from_the_store(bucket: FaultyS3, roboyard) -> None:
    shown = roboyard("policy", "show", URI)
    assert f"{URI}/policy/best.zip (" in shown.out
    assert "pole angle" in shown.out
    assert "graph: largest difference" in roboyard("policy", "verify", URI, "-n", "20").out
    assert roboyard("policy", "diff", URI, f"{URI}/policy/best.zip").code == 0


def test_export_writes_to_this_machine_and_never_to_the_store(
    bucket: FaultyS3, roboyard, tmp_path: Path
) -> None:
    before = open_store(URI).get("policy/best.zip").data
    refused = roboyard("export", URI)
    assert refused.code != 0
    assert "is in a store, which an export does not write to" in refused.err
    assert "--output" in refused.err
    done = roboyard("export", URI, "--output", "mine.zip")
    assert done.code == 0, done.err
    assert RuntimePolicy.open(tmp_path / "mine.zip").name == "tiny"
    assert open_store(URI).get("policy/best.zip").data == before


def test_a_run_is_served_from_the_store(bucket: FaultyS3) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", "from roboyard.cli import main; main()", "serve", URI, "-p", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        from roboyard.serving import Client

        with Client(address) as client:
            actions = client.act("tiny", OBSERVATION).actions
        assert np.allclose(actions, load_policy(URI).predict(OBSERVATION).actions, atol=1e-5)
    finally:
        server.terminate()
        assert server.wait(30) == 0
        server.stdout.close()


def test_what_is_not_there_is_said_so(bucket: FaultyS3, roboyard) -> None:
    with pytest.raises(PolicyError, match=r"no policy at 's3://bucket/runs/nothing': it is not a"):
        load_policy("s3://bucket/runs/nothing")
    with pytest.raises(StorageError, match=r"'s3://bucket/none\.zip' does not exist"):
        load_policy("s3://bucket/none.zip")
    failed = roboyard("evaluate", "s3://bucket/runs/nothing")
    assert (failed.code, failed.out) == (2, "")
    with pytest.raises(StorageError, match="scheme 'gs' is not known"):
        load_policy("gs://bucket/policy.zip")


def test_a_damaged_object_is_never_loaded(bucket: FaultyS3) -> None:
    store = open_store("s3://bucket/other")
    store.put("policy.zip", open_store(URI).get("policy/best.zip").data)
    bucket.damage("other/policy.zip")
    with pytest.raises((PolicyError, StorageError)):
        load_policy("s3://bucket/other/policy.zip")
    store.put("policy.zip", b"no zip")
    with pytest.raises(PolicyError, match=r"'s3://bucket/other/policy\.zip' is damaged or not a"):
        load_policy("s3://bucket/other/policy.zip")


def test_a_bundle_tells_where_it_comes_from(bucket: FaultyS3, roboyard) -> None:
    provenance = PolicyBundle.read(find_bundle(URI)).provenance
    assert provenance["seed"] == 3
    assert provenance["step"] in (64, 128)
    assert provenance["git_revision"]
    assert provenance["versions"]["stable-baselines3"]
    assert provenance["evaluation"]["episodes"] == 2
    assert provenance["final_evaluation"]["seed"] == provenance["evaluation"]["seed"] + 1
    shown = roboyard("policy", "show", URI).out
    assert f"mean return {provenance['final_evaluation']['mean_return']:.4g}" in shown
    assert "final evaluation" in shown
