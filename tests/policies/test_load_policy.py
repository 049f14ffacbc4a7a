"""Finding a policy from a path."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from roboyard.errors import PolicyError
from roboyard.policies import load_policy
from roboyard.policies.bundle.locate import find_bundle


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "fake" / "1"
    (folder / "policy").mkdir(parents=True)
    (folder / "config.yaml").write_text("name: fake\n")
    return folder


def test_a_run_directory_gives_its_best_policy_else_its_last(run, bundle_path):
    shutil.copy(bundle_path, run / "policy" / "last.zip")
    assert find_bundle(run) == str(run / "policy" / "last.zip")
    shutil.copy(bundle_path, run / "policy" / "best.zip")
    assert find_bundle(run) == str(run / "policy" / "best.zip")
    assert load_policy(str(run)).predict(np.zeros(3, np.float32)).actions.shape == (2,)


def test_a_bundle_is_taken_as_it_is(bundle_path):
    assert find_bundle(bundle_path) == str(bundle_path)


def test_a_path_that_does_not_exist_lists_what_is_accepted(tmp_path):
    with pytest.raises(PolicyError, match=r"does not exist\. Give a policy bundle .* or a run dir"):
        load_policy(tmp_path / "nothing")


def test_a_folder_that_is_no_run_lists_what_is_accepted(tmp_path):
    with pytest.raises(PolicyError, match=r"\(it has no config\.yaml\)\. Give a policy bundle"):
        load_policy(tmp_path)


def test_a_run_without_a_policy_says_so(run):
    with pytest.raises(PolicyError, match=r"has no policy yet \(it is not started\)"):
        load_policy(run)


def test_reading_a_bundle_imports_neither_torch_nor_stable_baselines3(bundle_path):
    code = (
        "import sys; from roboyard.policies import PolicyBundle; "
        f"PolicyBundle.read({str(bundle_path)!r}); "
        "print({'torch', 'stable_baselines3', 'pybullet'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
