"""``roboyard config`` and ``roboyard init``, as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from roboyard.cli import config as config_command
from roboyard.cli.init import init
from roboyard.config.load import load
from roboyard.errors import ConfigError, StorageError

CONFIGS = Path(__file__).parents[2] / "configs"
CARTPOLE = CONFIGS / "cartpole.yaml"

app = Typer()
app.add_typer(config_command.app, name="config")
app.command()(init)
runner = CliRunner()


def run(*arguments: str | Path) -> str:
    """Return what the command prints; its errors propagate."""
    result = runner.invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_validate_prints_a_summary_for_each_file() -> None:
    lines = run("config", "validate", CARTPOLE, CONFIGS / "pendulum-sac.yaml").splitlines()
    assert lines[0].startswith(f"OK {CARTPOLE}: PPO on roboyard/SimpleRobot-v0, ")
    assert lines[0].endswith(" steps, seed 0")
    assert lines[1].startswith(f"OK {CONFIGS / 'pendulum-sac.yaml'}: SAC on Pendulum-v1, ")


def test_validate_reports_every_bad_file(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\n")
    with pytest.raises(ConfigError) as caught:
        run("config", "validate", bad, CARTPOLE, tmp_path / "absent.yaml")
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{bad}:1: env: is missing (The environment)."
    assert lines[-1].startswith(f"{tmp_path / 'absent.yaml'}: no such file.")


def test_validate_applies_overrides() -> None:
    assert "seed 7" in run("config", "validate", CARTPOLE, "--set", "seed=7")
    with pytest.raises(ConfigError, match=r"override: sed: unknown key. Did you mean 'seed'"):
        run("config", "validate", CARTPOLE, "--set", "sed=7")


def test_full_validation_creates_the_environment() -> None:
    assert run("config", "validate", "--full", CARTPOLE).startswith(f"OK {CARTPOLE}: PPO on ")
    with pytest.raises(ConfigError, match="unknown environment 'roboyard/SimplRobot-v0'"):
        run("config", "validate", "--full", CARTPOLE, "--set", "env.id=roboyard/SimplRobot-v0")
    with pytest.raises(ConfigError) as caught:
        run("config", "validate", "--full", CONFIGS / "pendulum-sac.yaml", "--set",
            "env.id=CartPole-v1")  # fmt: skip
    assert str(caught.value).startswith(f"{CONFIGS / 'pendulum-sac.yaml'}: ")
    assert "SAC" in str(caught.value)


def test_show_prints_a_config_that_gives_the_same_run(tmp_path: Path) -> None:
    text = run("config", "show", CARTPOLE, "--set", "train.total_steps=1e4")
    copy = tmp_path / "copy.yaml"
    copy.write_text(text)
    assert load(copy) == load(CARTPOLE, ["train.total_steps=10000"])
    assert "\x1b" not in text


def test_show_prints_json() -> None:
    assert load(json.loads(run("config", "show", "--json", CARTPOLE))) == load(CARTPOLE)


def test_show_is_highlighted_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[" in run("config", "show", CARTPOLE)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in run("config", "show", CARTPOLE)


def test_show_prints_no_secret_and_no_character_that_acts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOOR_TOKEN", "s3cr3t-t0k3n")
    file = tmp_path / "a.yaml"
    file.write_text(
        "name: a\nenv: {id: roboyard/SimpleRobot-v0, kwargs: {token: '${env:DOOR_TOKEN}', "
        'note: "\u202e\u2066"}}\nagent: {algorithm: PPO}\ntrain: {total_steps: 1}\n'
    )
    for options in ((), ("--json",)):
        text = run("config", "show", *options, file)
        assert "${env:DOOR_TOKEN}" in text and "s3cr3t" not in text
        copy = tmp_path / "copy.yaml"
        copy.write_text(text)
        assert load(copy) == load(file)
        for colour in ("0", "1"):
            with monkeypatch.context() as terminal:
                terminal.setenv("FORCE_COLOR", "1")
                terminal.setenv("NO_COLOR", "1" if colour == "0" else "")
                shown = run("config", "show", *options, file)
            assert not {"\u202e", "\u2066"} & set(shown)
            assert "s3cr3t" not in shown


def test_schema_prints_json() -> None:
    schema = json.loads(run("config", "schema"))
    assert schema["properties"]["extends"]["anyOf"]


def test_init_writes_a_config_that_loads(tmp_path: Path) -> None:
    path = tmp_path / "new" / "first.yaml"
    output = run("init", path, "--algorithm", "sac", "--env", "Pendulum-v1")
    assert f"roboyard train {path}" in output
    config = load(path)
    assert (config.name, config.agent.algorithm, config.env.id) == ("first", "SAC", "Pendulum-v1")


def test_init_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("precious")
    with pytest.raises(ConfigError, match=r"exists already. Give another name, or remove it"):
        run("init", path)
    assert path.read_text() == "precious"
    with pytest.raises(ConfigError, match=r"is a folder. Give a file name"):
        run("init", tmp_path)


def test_init_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown algorithm 'SAK'"):
        run("init", tmp_path / "new.yaml", "--algorithm", "SAK")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        run("init", tmp_path / "file" / "new.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("arguments", [["config"], ["config", "show"], ["config", "validate"]])
def test_help_has_examples(arguments: list[str]) -> None:
    output = runner.invoke(app, [*arguments, "--help"]).output
    assert "Usage" in output
    assert len(arguments) == 1 or f"roboyard {' '.join(arguments)} configs/cartpole.yaml" in output


def test_commands_load_no_heavy_package() -> None:
    code = (
        "import sys; from roboyard.cli import config, init; "
        f"config.validate([{str(CARTPOLE)!r}]); "
        "print([m for m in ('torch', 'pybullet', 'gymnasium') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
