"""Text of others is shown, never obeyed; names of files and runs stay where they belong."""

from __future__ import annotations

import ast
import errno
import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from roboyard.cli.output import cell
from roboyard.config.load import load
from roboyard.errors import ConfigError, RoboyardError, StorageError
from roboyard.evaluation.report import write_report
from roboyard.runs.directory import RunDirectory
from roboyard.storage.atomic import cannot
from roboyard.text import printable
from roboyard.training.checkpoints.store import CheckpointStore, CheckpointSubject
from roboyard.training.trainer import Trainer

CLI = Path(__file__).parents[2] / "src" / "roboyard" / "cli"
EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e[red]x[/red]\r"
CONFIG = {
    "name": "a",
    "env": {"id": "roboyard/SimpleRobot-v0"},
    "agent": {"algorithm": "PPO"},
    "train": {"total_steps": 1},
}


def is_harmless(text):
    return not {"\x1b", "\x07", "\x9b", "\u202e", "\r"} & set(text)


def test_control_characters_are_written_out_and_lines_stay():
    assert printable("a\n\tb±é") == "a\n\tb±é"
    assert printable("\x1b[2J\x07\u202e") == r"\x1b[2J\x07\u202e"
    for kind in (RoboyardError, ConfigError):
        assert is_harmless(str(kind(f"got '{EVIL}'")))


def test_a_cell_shows_markup_instead_of_obeying_it(capsys):
    Console(force_terminal=True, width=200, color_system="truecolor").print(cell(EVIL))
    assert "[red]x[/red]" in capsys.readouterr().out


def test_commands_print_through_the_helper_only():
    for path in CLI.glob("*.py"):
        if path.name == "output.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called not in ("print", "typer.echo", "typer.secho", "click.echo"), path.name


def test_a_status_of_a_stranger_does_not_reach_the_terminal(tmp_path, roboyard):
    run = tmp_path / "store" / "a[red]" / "r"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("name: a\n")
    status = {"state": EVIL, "step": 1, "reason": EVIL, "host": EVIL}
    (run / "status.json").write_text(json.dumps(status))
    for command in (("runs", "list", str(tmp_path / "store")), ("runs", "show", str(run))):
        found = roboyard(*command)
        assert found.code == 0
        assert is_harmless(found.out + found.err)
        assert "a[red]" in found.out and "[red]x[/red]" in found.out


@pytest.mark.parametrize(
    "run_id", ["", ".", "..", "../..", "/tmp/x", "a/b", "-x", "a\n", "a" * 201]
)
def test_a_run_id_is_the_plain_name_of_a_folder(tmp_path, run_id):
    with pytest.raises(ConfigError, match="--run-id"):
        Trainer(load(CONFIG | {"store": str(tmp_path)}), run_id=run_id)
    with pytest.raises(ConfigError, match="--run-id"):
        RunDirectory.create(tmp_path, "a", run_id)
    assert list(tmp_path.iterdir()) == []


def test_extends_prints_nothing_of_another_kind_of_file(tmp_path):
    (tmp_path / "credentials").write_text("password: hunter2hunter2\n")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "credentials")
    for name in ("credentials", "link.yaml"):
        (tmp_path / "a.yaml").write_text(f"extends: {name}\n")
        with pytest.raises(ConfigError, match="is not a YAML file") as caught:
            load(tmp_path / "a.yaml")
        assert "hunter2" not in str(caught.value) and "password" not in str(caught.value)


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "a.yaml").write_text("extends: pipe.yaml\n")
    for path in (tmp_path / "a.yaml", tmp_path / "pipe.yaml", "/dev/zero"):
        with pytest.raises(ConfigError, match="pipe or a device"):
            load(path)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "larger quota"),
        (errno.EIO, "The disk or its connection fails"),
        (errno.EROFS, "mounted read-only"),
        (errno.EACCES, "that you may write to"),
        (errno.EPERM, "that you may write to"),
        (errno.ESTALE, "mounted anew"),
        (errno.EFBIG, "ulimit -f"),
        (errno.ENAMETOOLONG, "shorter path"),
    ],
)
def test_each_failure_of_a_disk_has_its_own_advice(
    number: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = OSError(number, os.strerror(number))
    assert advice in str(cannot("write", Path("a"), failure))
    store = CheckpointStore(tmp_path, CheckpointSubject("PPO", "a"))

    def fail(folder: Path) -> None:
        raise failure

    with pytest.raises(StorageError) as caught:
        store.write(1, fail)
    assert advice in str(caught.value)
    is_about_space = number in (errno.ENOSPC, errno.EDQUOT)
    assert ("space" in str(caught.value)) == is_about_space
    assert list(tmp_path.iterdir()) == []


def test_a_report_shows_text_of_others_within_its_place(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.config_file.write_text(
        json.dumps({"name": EVIL + r"$\frac$" + "\n# b", "agent": {"algorithm": "a|b"}})
    )
    run.status_file.write_text(json.dumps({"state": EVIL, "reason": "x\n| y | z |"}))
    page = write_report(run).page.read_text()
    assert is_harmless(page)
    assert "\n# b" not in page and "\n| y" not in page
    assert r"a\|b" in page
