import json

import pytest
import typer
from stable_baselines3.common.vec_env import DummyVecEnv
from typer.testing import CliRunner

from roboyard.agents import build_agent
from roboyard.cli import policy as policy_command
from roboyard.cli.export import export
from roboyard.config.load import load
from roboyard.envs.factory import make_env
from roboyard.errors import ConfigError, PolicyError
from roboyard.policies import PolicyBundle
from roboyard.policies.bundle.manifest import add_to_bundle
from roboyard.policies.runtime.policy import RuntimePolicy


@pytest.fixture
def run_folder(tmp_path):
    """A run directory with a last policy of the cart-pole that has learnt nothing."""
    config = load(
        {
            "name": "cartpole",
            "env": {"id": "SimpleRobot", "workers": 0},
            "agent": {"algorithm": "PPO", "network": {"actor": [8], "critic": [8]}},
            "train": {"total_steps": 100},
        }
    )
    env = DummyVecEnv([lambda: make_env(config.env)])
    agent = build_agent(config.agent, env, seed=0)
    folder = tmp_path / "runs" / "cartpole" / "1"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("name: cartpole\n")
    PolicyBundle.write(
        folder / "policy" / "last.zip",
        policy=agent.policy,
        config=config,
        normalizer=None,
        observation_space=env.observation_space,
        action_space=env.action_space,
        provenance={"step": 100},
    )
    env.close()
    return folder


def run(*arguments):
    """Run the command; its own errors come out as they are."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(export)
    app.add_typer(policy_command.app, name="policy")
    result = CliRunner().invoke(app, [str(a) for a in arguments], terminal_width=200)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_run_is_exported_shown_and_verified(run_folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert (
        "graph: none; add one with: roboyard export" in run("policy", "verify", run_folder).stdout
    )
    exported = run("export", run_folder)
    assert "parity: largest difference" in exported.stdout
    assert "on 1000 observations of SimpleRobot" in exported.stdout
    shown = run("policy", "show", run_folder).stdout
    assert "ONNX, opset 17" in shown
    assert "pole angle" in shown
    assert "0.02 s" in shown
    verified = run("policy", "verify", run_folder, "-n", "50").stdout
    assert "digests: 2 parts" in verified
    assert "weights: fit the PPO network" in verified
    assert "on 50 observations of SimpleRobot" in verified
    assert RuntimePolicy.open(run_folder / "policy" / "last.zip").name == "cartpole"


def test_names_in_a_bundle_are_printed_as_they_are(run_folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path = run_folder / "policy" / "last.zip"
    contract = {
        "actions": [{"name": "[/bold]force", "unit": "[red]"}],
        "robot": {
            "joints": ["[/]hip"],
            "actuators": [{"joints": ["[/]hip"], "unit": "rad", "scale": [1.0], "offset": [0.5]}],
        },
    }
    add_to_bundle(path, path, contract=contract)
    shown = run("policy", "show", run_folder).stdout
    assert "[/bold]force" in shown
    assert "0.5 + 1 a [rad]" in shown


def test_show_prints_the_whole_manifest_as_json(run_folder):
    value = json.loads(run("policy", "show", run_folder, "--json").stdout)
    assert value["provenance"] == {"step": 100}
    assert value["observation_space"]["shape"] == [4]


def test_a_graph_alone_is_written_where_asked(run_folder, tmp_path):
    result = run("export", run_folder / "policy" / "last.zip", "-o", tmp_path / "a.onnx")
    assert f"onnx: {tmp_path / 'a.onnx'}" in result.stdout
    assert RuntimePolicy.open(tmp_path / "a.onnx").contract.control_period_s == 0.02


def test_diff_ends_with_1_when_policies_differ(run_folder, tmp_path):
    same = run("policy", "diff", run_folder, run_folder / "policy" / "last.zip")
    assert same.exit_code == 0
    assert "do not differ" in same.stdout
    other = tmp_path / "other.zip"
    run("export", run_folder, "-o", other)
    differing = run("policy", "diff", run_folder, other)
    assert differing.exit_code == 1
    assert "onnx.opset" in differing.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "onx"], r"--format is 'onx'. Allowed: onnx, torchscript. Did you mean 'onn"),
        (["--which", "first"], r"--which is 'first'. Allowed: best, last"),
    ],
)
def test_wrong_options_are_refused(run_folder, arguments, message):
    with pytest.raises(ConfigError, match=message):
        run("export", run_folder, *arguments)


def test_paths_that_hold_no_policy_are_refused(tmp_path):
    for command in (["export"], ["policy", "show"], ["policy", "verify"]):
        with pytest.raises(PolicyError, match=r"it does not exist\. Give a policy bundle"):
            run(*command, tmp_path / "none")
