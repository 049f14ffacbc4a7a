"""A fresh bundle gets its contract and its graph, or stays as it was."""

import logging
import shutil
import sys

import numpy as np
import pytest
from gymnasium import spaces

from roboyard.config.schema import EnvConfig
from roboyard.envs.factory import make_env
from roboyard.errors import MissingDependencyError, PolicyError
from roboyard.policies import PolicyBundle, load_policy
from roboyard.policies.bundle.inspect import differences, entry_rows, joint_rows, summary
from roboyard.policies.contract import Entry, PolicyContract, complete_contract
from roboyard.policies.export.exporter import TorchScriptPolicy
from roboyard.policies.export.finalize import complete_bundle, export, verify_graph
from roboyard.policies.export.parity import difference
from roboyard.policies.runtime.policy import RuntimePolicy
from roboyard.testing.fake_envs import FORCE, FakeEnv


class NamedEnv(FakeEnv):
    observation_names = ("height [m]", "pitch [rad]", "contact")
    action_names = ("hip [N m]", "knee [N m]")
    control_period = 0.02


def test_a_completed_bundle_holds_graph_contract_and_figure(bundle_path):
    weights = PolicyBundle.read(bundle_path).weights
    result = complete_bundle(bundle_path, make_env=NamedEnv)
    bundle = PolicyBundle.read(bundle_path)
    assert bundle.weights == weights
    assert bundle.provenance == {"seed": 3}
    assert bundle.contract.actions[1] == Entry(name="knee", unit="N m")
    assert bundle.contract.control_period_s == 0.02
    assert bundle.manifest.onnx.parity.observations == 200
    assert bundle.manifest.onnx.parity.largest_difference == result.largest_difference <= 1e-6
    contract = RuntimePolicy.open(bundle_path).contract
    assert contract.observations[""].entry(1)[:2] == ("pitch", "rad")
    assert contract.control_period_s == 0.02
    observation = np.array([[0.0, np.nan, 0.0]])
    with pytest.raises(PolicyError, match=r"entry 'pitch' \[rad\] is nan"):
        RuntimePolicy.open(bundle_path).act(observation)


def test_an_export_is_repeatable_to_the_byte(bundle_path, tmp_path):
    files = [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    for file in files:
        export(bundle_path, make_env=FakeEnv, output=file, observations=5)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_another_bundle_can_be_written_instead(bundle_path, tmp_path):
    before = bundle_path.read_bytes()
    export(bundle_path, make_env=FakeEnv, output=tmp_path / "other.zip", observations=5)
    assert bundle_path.read_bytes() == before
    assert PolicyBundle.read(tmp_path / "other.zip").manifest.onnx is not None


def test_a_graph_that_acts_differently_is_not_written(bundle_path, monkeypatch):
    before = bundle_path.read_bytes()
    original = RuntimePolicy.predict

    def shifted(self, *arguments):
        result = original(self, *arguments)
        return result._replace(actions=result.actions + np.float32(1e-3))

    monkeypatch.setattr(RuntimePolicy, "predict", shifted)
    with pytest.raises(PolicyError, match=r"differ from the policy's by up to 0\.00\d+ on 5 obs"):
        export(bundle_path, make_env=FakeEnv, observations=5)
    assert bundle_path.read_bytes() == before
    assert [file.name for file in bundle_path.parent.iterdir()] == [bundle_path.name]


def test_a_layer_that_branches_on_values_is_found_out(write_bundle, tmp_path, monkeypatch):
    module = tmp_path / "branching_layers.py"
    module.write_text(
        "from torch import nn\n"
        "class Branch(nn.Module):\n"
        "    def forward(self, x):\n"
        "        return x if x.sum() > 0.2 else 3 * x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = write_bundle(agent={"network": {"activation": "branching_layers:Branch"}})[1]
    with pytest.raises(PolicyError, match=r"differ from the policy's.*cannot be traced"):
        export(path, make_env=FakeEnv, observations=50, trust_code=True)
    assert PolicyBundle.read(path).manifest.onnx is None


@pytest.mark.parametrize("name", ["SAC", "RecurrentPPO"])
def test_torchscript_acts_the_same_and_knows_the_contract(write_bundle, name):
    _, path = write_bundle(name)
    result = export(path, make_env=FakeEnv, form="torchscript", observations=20)
    assert result.path == path.with_suffix(".pt")
    assert result.largest_difference <= 1e-6
    policy = TorchScriptPolicy(result.path.read_bytes())
    assert policy.contract.algorithm == name
    observation = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    expected = load_policy(path).predict(observation).actions
    assert np.allclose(policy.predict(observation).actions, expected, atol=1e-6)


def test_a_bundle_holds_no_torchscript(bundle_path):
    with pytest.raises(PolicyError, match=r"holds no TorchScript. Name a file ending in .pt"):
        export(bundle_path, make_env=FakeEnv, form="torchscript", output="x.zip")


@pytest.mark.parametrize("absent", ["onnx", "onnxruntime"])
def test_without_the_extras_a_run_ends_with_a_contract_alone(
    bundle_path, absent, monkeypatch, caplog
):
    monkeypatch.setitem(sys.modules, absent, None)
    with caplog.at_level(logging.INFO):
        assert complete_bundle(bundle_path, make_env=NamedEnv) is None
    assert "pip install 'roboyard[export,serve]'" in caplog.text
    bundle = PolicyBundle.read(bundle_path)
    assert bundle.manifest.onnx is None
    assert bundle.contract.control_period_s == 0.02
    with pytest.raises(MissingDependencyError, match=r"pip install 'roboyard\[(export|serve)\]'"):
        export(bundle_path, make_env=NamedEnv)


def test_an_older_graph_is_checked_against_the_network(bundle_path, write_bundle, tmp_path):
    export(bundle_path, make_env=FakeEnv, observations=5)
    found = verify_graph(PolicyBundle.read(bundle_path), make_env=FakeEnv, count=5)
    assert found.largest_difference <= 1e-6


def test_the_cart_pole_names_its_entries():
    env = make_env(EnvConfig(id="SimpleRobot"))
    contract = complete_contract(PolicyContract(), env, env.observation_space, env.action_space)
    assert contract.observations[""][2] == Entry(name="pole angle", unit="rad")
    assert contract.control_period_s == 0.02
    env.close()


def test_a_task_describes_its_robot_and_terms():
    env = make_env(EnvConfig(id="ant-run"))
    contract = complete_contract(PolicyContract(), env, env.observation_space, env.action_space)
    env.close()
    assert contract.observations[""][0] == Entry(name="height", unit="m")
    assert [entry.name for entry in contract.actions][:2] == ["hip_1", "ankle_1"]
    robot = contract.robot
    assert len(robot["joints"]) == len(robot["default_positions"]) == len(robot["lower_limits"])
    (actuator,) = robot["actuators"]
    assert actuator["control"] == "torque"
    assert actuator["joints"] == [entry.name for entry in contract.actions]
    assert len(actuator["scale"]) == 8


def test_entries_that_belong_to_a_joint_bear_its_name():
    env = make_env(EnvConfig(id="a1-velocity"))
    contract = complete_contract(PolicyContract(), env, env.observation_space, env.action_space)
    env.close()
    names = [entry.name for entry in contract.observations[""]]
    assert "joints.FR_hip_joint" in names
    assert "joint_speeds.RL_lower_joint" in names
    assert [name for name in names if name.startswith("command.")] == [
        "command.forward", "command.sideways", "command.turning",
    ]  # fmt: skip
    units = {entry.name: entry.unit for entry in contract.observations[""]}
    assert units["joints.FR_hip_joint"] == "rad"
    assert units["joint_speeds.FR_hip_joint"] == "20 rad/s", "the task scales it by 0.05"
    assert (units["command.forward"], units["command.turning"]) == ("m/s", "rad/s")


def test_a_bundle_lists_what_a_controller_of_the_robot_needs(bundle_path):
    env = make_env(EnvConfig(id="a1-velocity"))
    robot = complete_contract(PolicyContract(), env, env.observation_space, env.action_space).robot
    env.close()
    bundle = PolicyBundle.read(bundle_path)
    rows = list(joint_rows(bundle.with_contract(PolicyContract(robot=robot))))
    assert len(rows) == 12
    (motors,) = robot["actuators"]
    offset, scale = motors["offset"][2], motors["scale"][2]
    assert rows[2]._asdict() == {
        "joint": "FR_lower_joint", "default": f"{robot['default_positions'][2]:.4g}",
        "low": "-2.697", "high": "-0.9163", "control": "pd",
        "command": f"{offset:.4g} + {scale:.4g} a [rad]",
        "stiffness": f"{motors['stiffness'][2]:.4g}", "damping": f"{motors['damping'][2]:.4g}",
        "effort_limit": "33.5",
    }  # fmt: skip
    env = make_env(EnvConfig(id="panda-pick-and-place"))
    robot = complete_contract(PolicyContract(), env, env.observation_space, env.action_space).robot
    env.close()
    hand, fingers = robot["actuators"]
    assert hand["entries"] == [f"panda_grasptarget.{axis}" for axis in "xyz"]
    assert hand["link"] == "panda_grasptarget"
    assert len(fingers["entries"]) == 1
    rows = list(joint_rows(bundle.with_contract(PolicyContract(robot=robot))))
    assert rows[0].command == "what moves panda_grasptarget"
    assert rows[-1].command == "0.02 + 0.02 a [rad]"
    strange = PolicyContract(robot={"joints": ["hip", 3], "actuators": [7, {"joints": "x"}]})
    rows = list(joint_rows(bundle.with_contract(strange)))
    assert [row.joint for row in rows] == ["hip", "3"]
    assert list(joint_rows(bundle)) == []


def test_names_that_do_not_fit_and_what_is_known_already_are_left_alone():
    known = PolicyContract(control_period_s=0.5)
    contract = complete_contract(known, NamedEnv(), spaces.Box(-1, 1, (9,)), FORCE)
    assert contract.observations == {}
    assert contract.control_period_s == 0.5
    assert contract.actions[0].name == "hip"


def test_a_difference_is_a_share_of_large_bounds():
    large = spaces.Box(-300.0, 200.0, (1,))
    ones = np.ones((1, 1), np.float32)
    assert difference(ones, ones + np.float32(3e-3), large) == pytest.approx(1e-5, rel=1e-2)
    assert difference(ones, ones * np.float32(np.nan), large) == float("inf")
    assert difference(ones, ones.astype(np.float64), large) == float("inf")
    assert difference(ones, np.ones((2, 1), np.float32), large) == float("inf")


def test_a_bundle_sums_itself_up(bundle_path):
    complete_bundle(bundle_path, make_env=NamedEnv)
    bundle = PolicyBundle.read(bundle_path)
    facts = summary(bundle)
    assert facts["algorithm"] == "PPO"
    assert facts["control period"] == "0.02 s"
    assert facts["graph"].startswith("ONNX, opset 17, within ")
    rows = list(entry_rows(bundle))
    assert rows[1] == ("observation", "1", "pitch", "rad", "-inf", "inf")
    assert rows[4] == ("action", "1", "knee", "N m", "0", "5")


def test_equal_bundles_do_not_differ_and_others_say_where(write_bundle, tmp_path):
    first = shutil.copy(write_bundle()[1], tmp_path / "first.zip")
    same = PolicyBundle.read(write_bundle()[1])
    assert differences(PolicyBundle.read(first), same) == []
    other = PolicyBundle.read(write_bundle(steps=16, provenance={"seed": 4})[1])
    found = {row.where: row for row in differences(PolicyBundle.read(first), other)}
    assert found["provenance.seed"][1:] == ("3", "4")
    assert found["weights action_net.weight"].first.startswith("norm ")
    wider = PolicyBundle.read(write_bundle(agent={"network": {"actor": [9, 9]}})[1])
    found = {row.where: row for row in differences(PolicyBundle.read(first), wider)}
    assert found["weights action_net.weight"][1:] == ("(2, 8)", "(2, 9)")
    assert found["config.agent.network.actor"][1:] == ("[8, 8]", "[9, 9]")
