"""The script that instances start with."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from roboyard.cloud.submission import Submission
from roboyard.cloud.user_data import user_data
from roboyard.errors import CloudError

IMAGE = "000000000000.dkr.ecr.eu-central-1.amazonaws.com/roboyard@sha256:" + "0" * 64
SUBMISSION = Submission("ant", "train", "bucket", IMAGE, "0.1.0", "2026-12-01T00:00:00+00:00")


def test_it_is_short_and_shellcheck_finds_nothing(tmp_path: Path) -> None:
    script = user_data(SUBMISSION, "eu-central-1")
    assert len(script.splitlines()) < 40
    file = tmp_path / "user_data.sh"
    file.write_text(script)
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_names_the_image_by_digest_and_the_submission() -> None:
    script = user_data(SUBMISSION, "eu-central-1")
    assert IMAGE in script
    assert "--bucket 'bucket' --submission 'ant'" in script
    assert "@" not in script.replace(IMAGE, "")


def test_an_instance_ends_however_its_script_ends() -> None:
    lines = user_data(SUBMISSION, "eu-central-1").splitlines()
    trap = next(n for n, line in enumerate(lines) if line.startswith("trap 'shutdown"))
    assert not any("docker" in line for line in lines[:trap])
    assert any("systemd-run --on-active='168h' shutdown" in line for line in lines)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"image": "roboyard:latest"}, "not named by its digest"),
        ({"bucket": "b'; touch it; '"}, "must not hold"),
        ({"name": "a$(id)"}, "must not hold"),
    ],
)
def test_what_the_shell_would_run_or_what_may_change_is_refused(changes, told) -> None:
    with pytest.raises(CloudError, match=told):
        user_data(dataclasses.replace(SUBMISSION, **changes), "eu-central-1")
