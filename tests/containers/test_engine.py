"""Finding an engine, and what it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roboyard.cli.app import app
from roboyard.containers.engine import Engine, find_engine
from roboyard.containers.image import check_reference, find_checkout
from roboyard.errors import CloudError, ConfigError

ROOT = Path(__file__).parents[2]


def program(folder: Path, name: str, body: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is all of PATH besides the system's shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/nowhere")
    return folder


def test_a_docker_client_without_its_daemon_is_passed_over(path: Path) -> None:
    program(path, "docker", "exit 1")
    program(path, "buildah", "exit 0")
    assert find_engine().name == "buildah"


def test_what_only_builds_is_not_asked_to_run(path: Path) -> None:
    program(path, "buildah", "exit 0")
    with pytest.raises(ConfigError, match="looked for docker, podman"):
        find_engine(needs_run=True)


def test_no_engine_is_one_line_that_says_what_to_install(path: Path) -> None:
    program(path, "docker", "exit 1")
    with pytest.raises(ConfigError, match=r"not answering: docker .* apt-get install podman"):
        find_engine()


def test_an_unknown_builder_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'kaniko'\. Allowed: docker, podman, buildah"):
        find_engine("kaniko")


def test_a_failed_build_is_an_error_of_ours(path: Path) -> None:
    program(path, "buildah", "exit 3")
    engine = Engine("buildah", lambda line: None)
    with pytest.raises(CloudError, match="buildah build ended with exit code 3"):
        engine.build(
            context=ROOT, dockerfile=ROOT / "x", target="cpu", tag="roboyard:cpu", arguments={}
        )


def test_a_push_returns_the_name_by_digest(path: Path) -> None:
    digest = "sha256:" + 64 * "a"
    body = f'for a in "$@"; do case $a in --digestfile=*) echo {digest} > "${{a#*=}}";; esac; done'
    program(path, "podman", body)
    engine = Engine("podman", lambda line: None)
    pushed = engine.push("roboyard:cpu", "127.0.0.1:5000/team/roboyard:cpu")
    assert pushed == f"127.0.0.1:5000/team/roboyard@{digest}"


@pytest.mark.parametrize("text", ["Registry/Name", "a/b@sha256:00", "a b", ""])
def test_a_wrong_reference_is_refused_before_anything_runs(text: str) -> None:
    with pytest.raises(ConfigError, match="is not an image's name"):
        check_reference(text)


def test_a_build_is_told_the_revision_and_its_date() -> None:
    arguments = find_checkout(ROOT / "src").arguments()
    assert int(arguments["SOURCE_DATE_EPOCH"]) >= 315532800, "zip files know no earlier date"
    assert arguments["REVISION"]


def test_outside_of_a_checkout_the_command_says_where_images_come_from(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="built from a checkout"):
        find_checkout(tmp_path)


def test_a_dry_run_prints_the_command_and_runs_nothing(path: Path, tmp_path: Path) -> None:
    program(path, "podman", f"touch {tmp_path}/ran")
    result = CliRunner().invoke(
        app, ["image", "run", "--dry-run", "--volume", str(tmp_path), "--", "train", "my.yaml"]
    )
    assert result.exit_code == 0, result.output
    assert f"--volume={tmp_path}:/data" in result.output
    assert result.output.rstrip().endswith("roboyard:cpu train my.yaml")
    assert not (tmp_path / "ran").exists()
