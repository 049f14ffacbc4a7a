import json

import pytest
import typer
from typer.testing import CliRunner

from roboyard.cli.evaluate import evaluate
from roboyard.cli.play import play
from roboyard.errors import ConfigError

CONFIG = """
name: cartpole
env: {id: roboyard/SimpleRobot-v0, workers: 0}
agent: {algorithm: PPO}
train: {total_steps: 100}
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "cartpole.yaml"
    path.write_text(CONFIG)
    return str(path)


def run(*arguments):
    """Run the command; its own errors come out as they are."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(evaluate)
    app.command()(play)
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_evaluate_prints_a_table_and_writes_json(config, tmp_path):
    out = tmp_path / "out" / "result.json"
    result = run("evaluate", "random", "-c", config, "-n", "3", "--json", str(out))
    assert result.exit_code == 0
    assert "interquartile mean" in result.stdout
    assert "roboyard/SimpleRobot-v0" in result.stdout
    assert "\x1b" not in result.stdout  # no colours in a pipe
    written = json.loads(out.read_text())
    assert len(written["returns"]) == 3
    assert written["policy"] == "random"


def test_the_number_of_environments_changes_nothing(config, tmp_path):
    files = [tmp_path / f"{number}.json" for number in (1, 3)]
    for number, file in zip((1, 3), files, strict=True):
        options = ["-n", "4", "--num-envs", str(number), "--json", str(file)]
        assert run("evaluate", "zero", "-c", config, *options).exit_code == 0
    assert files[0].read_text() == files[1].read_text()


def test_another_environment_can_be_set(config):
    result = run(
        "evaluate", "zero", "-c", config, "-n", "1",
        "--set", "env.id=Pendulum-v1", "--set", "env.max_episode_steps=3",
    )  # fmt: skip
    assert "Pendulum-v1" in result.stdout
    assert "3.0 steps" in result.stdout


def test_play_records_a_video_and_prints_returns(config, tmp_path):
    out = tmp_path / "play.mp4"
    options = ["--video", str(out), "--episodes", "1", "--size", "64x48"]
    result = run("play", "zero", "-c", config, *options)
    assert result.exit_code == 0
    assert "episode 1: return" in result.stdout
    assert out.stat().st_size > 500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "random"], "in which environment it runs.*--config"),
        (["evaluate", "randm"], "Did you mean 'random'"),
        (["evaluate", "zero", "--set", "env.id=Pendulum-v1"], "no --config was given"),
        (["evaluate", "zero", "--which", "first"], "--which is 'first'. Allowed: best, last"),
        (["play", "zero", "--size", "big"], "--size is 'big'. Give width x height"),
        (["play", "a.yaml"], "'a.yaml' is a config: say which policy to play in it"),
        (["play", "zero", "--policy", "random"], "two policies are given: 'zero' and --policy"),
        (["play", "a.yaml", "--policy", "zero", "-c", "b.yaml"], "two configs are given"),
    ],
)
def test_mistakes_are_told(arguments, message):
    with pytest.raises(ConfigError, match=message):
        run(*arguments)


def test_no_episodes_are_an_error(config):
    with pytest.raises(ConfigError, match="episodes is 0; it must be at least 1"):
        run("evaluate", "zero", "-c", config, "-n", "0")


def test_help_shows_examples():
    text = run("evaluate", "--help").stdout
    assert "roboyard evaluate runs/cartpole/" in text
    assert "--stochastic" in text


def test_the_number_of_workers_changes_nothing_but_the_speed(config, tmp_path):
    results = []
    for workers in ("0", "2"):
        out = tmp_path / f"{workers}.json"
        run("evaluate", "random", "-c", config, "-n", "4", "--workers", workers, "--json", str(out))
        results.append(json.loads(out.read_text())["returns"])
    assert results[0] == results[1]


def test_a_number_of_workers_that_is_none_is_refused(config):
    with pytest.raises(
        ConfigError, match=r"--workers is 'many'\. Allowed: auto, or a whole number"
    ):
        run("evaluate", "random", "-c", config, "--workers", "many")
