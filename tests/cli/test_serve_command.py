"""``roboyard serve``: mistakes on the command line are one clear line."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from roboyard.cli.serve import serve
from roboyard.errors import ConfigError, PolicyError, RoboyardError

for module in ("fastapi", "uvicorn", "onnxruntime", "websockets"):
    pytest.importorskip(module)

app = typer.Typer()
app.command()(serve)


def error_of(*arguments: object) -> RoboyardError:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert isinstance(result.exception, RoboyardError), result.output
    assert "\n" not in str(result.exception)
    return result.exception


def test_nothing_to_serve_is_a_mistake() -> None:
    error = error_of()
    assert isinstance(error, ConfigError)
    assert "--watch" in str(error)


def test_a_missing_or_foreign_file_is_named(tmp_path: Path) -> None:
    missing = error_of(tmp_path / "no.zip")
    assert isinstance(missing, PolicyError)
    assert "no.zip" in str(missing)
    (tmp_path / "text.zip").write_text("no bundle")
    assert "text.zip" in str(error_of(tmp_path / "text.zip"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a b=x.zip"], "policy name 'a b'"),
        (["x.zip", "--port", "70000"], "0 to 65535"),
        (["x.zip", "--rate-limit", "-1"], "0 or more"),
        (["x.zip", "--max-batch", "0"], "at least 1"),
        (["x.zip", "--token-file", "/nowhere/tokens"], "token file '/nowhere/tokens'"),
        (["--watch", "ftp://place"], "ftp"),
        (["--watch", "s3://B"], "cannot be a bucket's name"),
    ],
)
def test_wrong_options_are_named(arguments: list[str], words: str) -> None:
    assert words in str(error_of(*arguments))


def test_a_split_must_fit_the_bundles(tmp_path: Path) -> None:
    for split in ("walker", "walker=a,b", "walker=1,2"):
        assert "split" in str(error_of("--watch", tmp_path, "--split", split)), split


def test_a_port_in_use_is_said_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = error_of("--watch", tmp_path, "--port", port)
    assert f"127.0.0.1:{port}" in str(error)
    assert "--port" in str(error)
