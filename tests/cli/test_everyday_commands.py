"""The commands as a user sees them: in a terminal, through a pipe, with NO_COLOR."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

ESCAPE = re.compile(r"\x1b\[")


def spoken(outcome) -> str:
    assert outcome.code == 0, outcome.err
    return outcome.out


def in_a_terminal(arguments: list[str], folder: Path, **environment: str) -> str:
    """Return what a real process shows on a pseudo-terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "roboyard", *arguments],
        cwd=folder,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **environment},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    while process.poll() is None or select.select([leader], [], [], 0)[0]:
        if select.select([leader], [], [], 0.1)[0]:
            try:
                shown += os.read(leader, 65536)
            except OSError:  # Linux reports the end of a pseudo-terminal as an I/O error
                break
    os.close(leader)
    assert process.wait(60) == 0, shown.decode()
    return shown.decode()


def test_training_through_a_pipe_is_plain_text_that_names_every_file(
    roboyard, tmp_path: Path
) -> None:
    out = spoken(roboyard("train", "tiny.yaml", "--run-id", "one"))
    assert not ESCAPE.search(out) and "\r" not in out
    run = tmp_path / "runs" / "tiny" / "one"
    for part in ("policy/best.zip", "report/curve.png", "report/report.md", "tensorboard"):
        assert str(Path("runs/tiny/one") / part) in out
        assert (run / part).exists()
    assert json.loads((run / "status.json").read_text())["state"] == "finished"


def test_a_finished_run_resumes_to_the_same_result(roboyard) -> None:
    spoken(roboyard("train", "tiny.yaml", "--run-id", "one", "--quiet"))
    out = spoken(roboyard("train", "tiny.yaml", "--resume", "--quiet"))
    assert "128 steps" in out


def test_training_in_a_terminal_shows_a_bar(roboyard, tmp_path: Path) -> None:
    del roboyard  # It only prepares the folder.
    shown = in_a_terminal(["train", "tiny.yaml"], tmp_path)
    assert ESCAPE.search(shown) and "steps/s" in shown and "Finished" in shown


@pytest.mark.slow
def test_no_color_means_no_colour_in_a_terminal(roboyard, tmp_path: Path) -> None:
    del roboyard  # It only prepares the folder.
    shown = in_a_terminal(["train", "tiny.yaml"], tmp_path, NO_COLOR="1")
    colours = re.findall(r"\x1b\[[0-9;]*m", shown)
    assert not [code for code in colours if re.search(r"\[(3|4|9|10)[0-9]", code)], colours


def test_help_names_every_command_with_examples(roboyard) -> None:
    out = spoken(roboyard("--help"))
    for command in ("train", "evaluate", "play", "init", "doctor", "list", "config", "runs"):
        assert command in out
    for command in ("train", "evaluate", "play"):
        assert f"roboyard {command} " in spoken(roboyard(command, "--help"))


def test_version(roboyard) -> None:
    assert re.fullmatch(r"roboyard \d+\.\d+\.\d+\n", spoken(roboyard("--version")))


def test_list_environments_names_ours_first_and_all_on_demand(roboyard) -> None:
    assert "roboyard/SimpleRobot-v0\n" in spoken(roboyard("list", "environments"))
    assert "Pendulum-v1\n" in spoken(roboyard("list", "environments", "--all"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("PPO", "on-policy"), ("SAC", "off-policy"), ("A2C", "on-policy"), ("ARS", "search")],
)
def test_list_algorithms_says_what_they_are(roboyard, name: str, kind: str) -> None:
    lines = spoken(roboyard("list", "algorithms")).splitlines()
    assert [name, kind] in [line.split()[:2] for line in lines]


def test_list_configs_shows_what_each_trains(roboyard, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("name: x\n")
    out = spoken(roboyard("list", "configs", "."))
    assert re.search(r"tiny\.yaml\s+roboyard/SimpleRobot-v0\s+PPO\s+128", out)
    assert re.search(r"broken\.yaml\s+does not load", out)


def test_doctor_finds_this_machine_fit(roboyard) -> None:
    out = spoken(roboyard("doctor"))
    assert "torch" in out and "physics and rendering" in out and "broken" not in out
