"""A robot of one's own travels in the bundle: evaluation elsewhere needs no other file."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from roboyard.agents import build_agent
from roboyard.config.load import load
from roboyard.envs.factory import make_env
from roboyard.errors import PolicyError
from roboyard.evaluation.evaluate import evaluate_policy_spec
from roboyard.evaluation.policies import resolve_subject
from roboyard.policies import PolicyBundle
from roboyard.policies.bundle.manifest import add_to_bundle

EXAMPLE = Path(__file__).parents[2] / "examples" / "your-own-robot"
TETRAHEDRON = """mtllib ../looks/steel.mtl
v 0 0 0
v 0.02 0 0
v 0 0.02 0
v 0 0 0.02
usemtl steel
f 1 3 2
f 1 2 4
f 1 4 3
f 2 3 4
"""
PLATE = """<visual><geometry><mesh filename="package://parts/meshes/plate.obj"/></geometry></visual>
  <collision>"""


@pytest.fixture
def trained_elsewhere(tmp_path):
    """Return a bundle and what it scored on the machine that trained it, whose files are gone."""
    home = tmp_path / "home"
    shutil.copytree(EXAMPLE, home / "robot")
    parts = home / "parts"
    (parts / "meshes").mkdir(parents=True)
    (parts / "looks").mkdir()
    (parts / "meshes" / "plate.obj").write_text(TETRAHEDRON)
    (parts / "looks" / "steel.mtl").write_text("newmtl steel\nKd 0.5 0.5 0.5\n")
    urdf = home / "robot" / "balancer.urdf"
    urdf.write_text(urdf.read_text().replace("<collision>", PLATE, 1))
    config = load(
        home / "robot" / "train.yaml",
        ["agent.network.actor=[8]", "agent.network.critic=[8]", "env.workers=0"],
    )
    env = DummyVecEnv([lambda: make_env(config.env)])
    path = PolicyBundle.write(
        tmp_path / "policy.zip",
        policy=build_agent(config.agent, env, seed=0).policy,
        config=config,
        normalizer=None,
        observation_space=env.observation_space,
        action_space=env.action_space,
        provenance={},
    )
    env.close()
    score = evaluate_policy_spec(path, episodes=2, num_envs=1)
    shutil.rmtree(home)
    return path, score


def test_a_bundle_is_evaluated_where_its_robot_has_never_been(trained_elsewhere):
    path, score = trained_elsewhere
    bundle = PolicyBundle.read(path)
    assert {name.rpartition("/")[2] for name in bundle.assets} == {
        "balancer.urdf", "plate.obj", "steel.mtl",
    }  # fmt: skip
    found = evaluate_policy_spec(path, episodes=2, num_envs=1, trust_code=True)
    np.testing.assert_array_equal(found.returns, score.returns)


def test_a_strangers_robot_needs_trust(trained_elsewhere):
    path, _ = trained_elsewhere
    with pytest.raises(PolicyError, match=r"brings 'balancer\.urdf'.*not made for strangers' fil"):
        resolve_subject(path)


def test_a_robot_that_was_changed_since_is_not_used(trained_elsewhere, tmp_path):
    path, score = trained_elsewhere
    (name,) = PolicyBundle.read(path).manifest.asset_files
    Path(name).parent.mkdir(parents=True)
    Path(name).write_text("<robot name='another'/>")
    found = evaluate_policy_spec(path, episodes=2, num_envs=1, trust_code=True)
    np.testing.assert_array_equal(found.returns, score.returns)


@pytest.mark.parametrize("evil", ["../x", "/tmp/x", "a/../../x", "a//x", ".x", "a/.x", "", "a\\x"])
def test_a_path_that_could_leave_the_folder_is_refused(trained_elsewhere, evil):
    path, _ = trained_elsewhere
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("bundle.json"))
    manifest["assets"][0]["path"] = evil
    add_to_bundle(path, path, assets=manifest["assets"])
    with pytest.raises(PolicyError, match=r"assets\.0\.path|asset_files names no asset"):
        resolve_subject(path, trust_code=True)


def test_files_that_ship_with_roboyard_stay_out_of_bundles(write_bundle):
    assert PolicyBundle.read(write_bundle()[1]).assets == {}
